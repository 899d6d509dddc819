import type { Command } from "commander";
import { collect, type Run } from "../../science/index.ts";
import { addCollectingOptions, type CollectingOptions, collectingOf, printSkipped } from "../collecting.ts";
import { verb } from "../io.ts";
import { addModelOptions, loadModel, type ModelOptions } from "../options.ts";
import { count } from "../progress.ts";
import { showProgress } from "../science.ts";

interface Options extends ModelOptions, CollectingOptions {
  out: string;
}

export function addCollect(program: Command): void {
  const command = program
    .command("collect")
    .description("collect responses in many roles with their activations; a run that stopped goes on")
    .option("--out <folder>", "where the run is kept", "run");
  addModelOptions(addCollectingOptions(command)).addHelpText(
    "after",
    `
Examples:
  $ capstan collect --out run
  $ capstan collect --model ./my-model --roles roles/ --questions questions.jsonl --out run
  $ capstan collect --model ./my-model --roles roles/ pirate bard --questions questions.jsonl 0:20 --layers 8:16`,
  );
  command.action(
    verb(async (io, options: Options) => {
      const given = await collectingOf(options);
      const model = await loadModel(io, options);
      try {
        const run = await collect(model, {
          ...given,
          out: options.out,
          signal: io.signal,
          on_progress: showProgress(io),
        });
        const summary = summarize(run);
        await io.print(
          `${count(summary.responses)} responses (${count(summary.tokens)} tokens) in ${summary.roles} roles, kept in ${options.out}`,
        );
        await printSkipped(io, run);
        await io.print(`Next: capstan fit ${options.out}`);
        const { skipped, warnings } = run;
        await io.result({ model: model.id, out: options.out, ...summary, skipped, warnings });
        return undefined;
      } finally {
        await model.dispose();
      }
    }),
  );
}

/** Counts of a run: responses, their tokens and roles, and how many got each score. */
export function summarize(run: Run) {
  const responses = [...run.responses.values()];
  const scores: Record<number, number> = {};
  for (const { score } of run.scores.values()) scores[score] = (scores[score] ?? 0) + 1;
  return {
    responses: responses.length,
    tokens: responses.reduce((sum, response) => sum + response.tokens, 0),
    roles: new Set(responses.map((response) => response.role)).size,
    scores,
  };
}
