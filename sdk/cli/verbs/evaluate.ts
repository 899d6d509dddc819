import type { Command } from "commander";
import { CapstanError } from "../../../models/index.ts";
import { type Evaluation, evaluate, type Rate, readAxis } from "../../science/index.ts";
import { readCapsFor } from "../caps.ts";
import { type Io, verb } from "../io.ts";
import { addEndpointOptions, endpointOf, type JudgingOptions } from "../judging.ts";
import { addModelOptions, loadModel, type ModelOptions, wholeNumber } from "../options.ts";
import { showProgress } from "../science.ts";

interface Options extends ModelOptions, JudgingOptions {
  axis?: string;
  cap?: string;
  uncapped?: boolean;
  suites?: string[];
  controls?: number;
  limit?: number;
  concurrency?: number;
  out?: string;
  run?: string;
}

export function addEvaluate(program: Command): void {
  const command = program
    .command("evaluate")
    .description("what share of prompts pass their checks: uncapped, capped, and capped on random directions")
    .option("--axis <file>", "file that fit wrote (default: collects and fits first)")
    .option("--cap <file>", "file that cap wrote (default: the recipe's cap of the axis)")
    .option("--uncapped", "ask the model alone: no axis, no cap")
    .option(
      "--suites <name...>",
      "names in the model's capstan.json, files of JSON lines, folders of <suite>.jsonl (default: test)",
    )
    .option("--controls <n>", "random directions to cap beside the axis (default: 5)", wholeNumber)
    .option("--limit <n>", "at most this many prompts of each group of a suite (default: all)", wholeNumber)
    .option("--concurrency <n>", "prompts in flight at once (default: 64)", wholeNumber)
    .option("--out <folder>", "keep the replies here, and go on where it stopped (default: in memory)")
    .option("--run <folder>", "keep the collection here (default: run in --out, else in memory)")
    .option(
      "--judge <url>",
      "OpenAI-compatible endpoint that scores replies for checks of kind judge (default: none)",
    );
  addModelOptions(addEndpointOptions(command)).addHelpText(
    "after",
    `
Examples:
  $ capstan evaluate --json
  $ capstan evaluate --suites dev --limit 20 --axis out/axis.safetensors --cap out/cap.safetensors
  $ capstan evaluate --model ./my-model --suites my-suites/ --cap cap.safetensors --controls 0 --out evaluation
  $ capstan evaluate --suites kind.jsonl --judge http://127.0.0.1:8080/v1 --judge_model qwen3-8b

The format of suites: docs/formats.md.`,
  );
  command.action(
    verb(async (io, options: Options) => {
      if (options.uncapped === true && options.cap !== undefined) {
        const parts = { action: "evaluate", need: "--uncapped or --cap", found: "both" };
        throw new CapstanError("bad_request", parts);
      }
      const judge = endpointOf(io, options);
      const axis = options.axis === undefined ? undefined : await readAxis(options.axis);
      const model = await loadModel(io, options);
      try {
        const caps = options.cap === undefined ? undefined : await readCapsFor(io, model, options.cap);
        const result = await evaluate(model, {
          ...(axis === undefined ? {} : { axis }),
          ...(options.uncapped === true ? { caps: null } : caps === undefined ? {} : { caps }),
          ...(options.suites === undefined ? {} : { suites: options.suites }),
          ...(options.controls === undefined ? {} : { controls: options.controls }),
          ...(options.limit === undefined ? {} : { limit: options.limit }),
          ...(options.concurrency === undefined ? {} : { concurrency: options.concurrency }),
          ...(options.out === undefined ? {} : { out: options.out }),
          ...(options.run === undefined ? {} : { run: options.run }),
          ...(judge === undefined ? {} : { judge }),
          signal: io.signal,
          on_progress: showProgress(io),
        });
        for (const warning of result.warnings) await io.warn(warning);
        await printEvaluation(io, result);
        if (result.out !== null) await io.print(`replies kept in ${result.out}`);
        await io.result(result);
        return undefined;
      } finally {
        await model.dispose();
      }
    }),
  );
}

/** The table of rates with their 95 % intervals. */
export async function printEvaluation(io: Io, result: Evaluation): Promise<void> {
  await io.print(headline(result));
  const results = Object.entries(result.suites);
  const width = Math.max(11, ...results.map(([suite]) => suite.length));
  const titles = ["uncapped", "capped", "random cap"].map((name) => name.padEnd(18)).join("");
  await io.print(`  ${"".padEnd(width)} ${"n".padStart(4)}  ${titles}`.trimEnd());
  for (const [suite, { uncapped, capped, control, unjudged }] of results) {
    const cells = [uncapped, capped, control].map((rate) => cell(rate).padEnd(18)).join("");
    const left_out = unjudged === 0 ? "" : `(${unjudged} replies without a score)`;
    const line = `  ${suite.padEnd(width)} ${String(uncapped.n).padStart(4)}  ${cells}${left_out}`;
    await io.print(line.trimEnd());
  }
}

function headline({ split, cap, axis }: Evaluation): string {
  const parts = [`${split} prompts`];
  if (cap !== null) {
    const percentile = cap.percentile === null ? "" : `, percentile ${cap.percentile}`;
    parts.push(`cap on layers ${cap.layers.start}:${cap.layers.end}${percentile}`);
  }
  if (axis !== null) parts.push(`cos(PC1, axis) ${axis.pc1_cosine.toFixed(2)} at layer ${axis.target_layer}`);
  return parts.join("; ");
}

function cell(rate: Rate | undefined): string {
  if (rate === undefined || rate.n === 0) return "-";
  const part = (x: number) => (100 * x).toFixed(0);
  return `${part(rate.rate)} % [${part(rate.low)}, ${part(rate.high)}]`;
}
