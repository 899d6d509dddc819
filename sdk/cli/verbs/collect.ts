import type { Command } from "commander";
import { collect, planCollect, type Run } from "../../science/index.ts";
import { addCollectingOptions, type CollectingOptions, collectingOf, printSkipped } from "../collecting.ts";
import { type Io, verb } from "../io.ts";
import {
  addJudgingOptions,
  type JudgingOptions,
  judgeOf,
  printPlan,
  printScores,
  scoresOf,
} from "../judging.ts";
import { afterRun, command as commandLine, pathArgument } from "../next.ts";
import { addModelOptions, loadModel, type ModelOptions } from "../options.ts";
import { count } from "../progress.ts";
import { showProgress } from "../science.ts";
import { NOTHING } from "./judge.ts";

interface Options extends ModelOptions, CollectingOptions, JudgingOptions {
  out: string;
  dry_run?: boolean;
}

export function addCollect(program: Command): void {
  const command = program
    .command("collect")
    .description("collect responses in many roles with their activations; a run that stopped goes on")
    .option("--out <folder>", "where the run is kept", "run");
  addJudgingOptions(
    addCollectingOptions(command),
    "none, to score them later (default: the model's recipe, else none)",
  ).option("--dry_run", "print how many responses and calls of the judge it takes; generate and ask nothing");
  addModelOptions(command).addHelpText(
    "after",
    `
Examples:
  $ capstan collect --out run
  $ capstan collect --model ./my-model --roles roles/ --questions questions.jsonl --out run --judge all
  $ capstan collect --model ./my-model --roles roles/ --questions questions.jsonl --out run \\
      --judge http://127.0.0.1:8080/v1 --judge_model qwen3-8b
  $ capstan collect --model ./my-model --roles roles/ pirate bard --questions questions.jsonl 0:20 --layers 8:16`,
  );
  command.action(
    verb(async (io, options: Options) => {
      const judge = judgeOf(io, options);
      const collecting = await collectingOf(options);
      const model = await loadModel(io, options);
      try {
        const given = {
          ...collecting,
          ...(judge === undefined ? {} : { judge }),
          out: options.out,
          signal: io.signal,
          on_warning: () => void io.note(unscored(options.out)),
          on_progress: showProgress(io),
        };
        if (options.dry_run === true) {
          const plan = await planCollect(model, given);
          await io.print(`${count(plan.missing)} responses to generate, ${count(plan.there)} are there`);
          if (plan.judge === null) await io.print("judge: none");
          else await printPlan(io, plan.judge);
          await io.result({ model: model.id, out: options.out, dry_run: true, ...plan });
          return undefined;
        }
        const run = await collect(model, given);
        await report(io, run, options.out);
        return undefined;
      } finally {
        await model.dispose();
      }
    }),
  );
}

async function report(io: Io, run: Run, out: string): Promise<void> {
  const { responses, tokens, roles, ...scored } = summarize(run);
  const next = afterRun(run, out);
  await io.print(
    `${count(responses)} responses (${count(tokens)} tokens) in ${count(roles)} roles, kept in ${out}`,
  );
  await printSkipped(io, run);
  await printScores(io, run, out);
  if (scored.judge === null)
    await io.print("nothing is scored yet: all counts each response as fully in role");
  await io.print(next === undefined ? NOTHING : `Next: ${next}`);
  await io.result({
    model: run.manifest.model.id,
    out,
    responses,
    tokens,
    roles,
    ...scored,
    skipped: run.skipped,
    warnings: run.warnings,
    next: next ?? null,
  });
}

function unscored(out: string): string {
  const later = commandLine("judge", pathArgument(out));
  return (
    "capstan: nothing will score these responses, and fit goes by scores. Give --judge URL --judge_model NAME or " +
    `--judge all, or do it afterwards: ${later} --judge ...`
  );
}

/** Counts of a run: responses, their tokens and roles, and how many got each score. */
export function summarize(run: Run) {
  const responses = [...run.responses.values()];
  return {
    responses: responses.length,
    tokens: responses.reduce((sum, response) => sum + response.tokens, 0),
    roles: new Set(responses.map((response) => response.role)).size,
    ...scoresOf(run),
  };
}
