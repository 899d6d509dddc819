import type { Command } from "commander";
import { type Evaluation, evaluate, readAxis } from "../../science/index.ts";
import { type Io, verb } from "../io.ts";
import { addModelOptions, loadModel, type ModelOptions, wholeNumber } from "../options.ts";
import { showProgress } from "../science.ts";
import { readCapsFor } from "./generate.ts";

interface Options extends ModelOptions {
  axis?: string;
  cap?: string;
  suites?: string;
  controls?: number;
  limit?: number;
  run?: string;
}

export function addEvaluate(program: Command): void {
  const command = program
    .command("evaluate")
    .description(
      "jailbreak success, capability and refusal: uncapped, capped, and capped on random directions",
    )
    .option("--axis <file>", "file that fit wrote (default: collects and fits first)")
    .option("--cap <file>", "file that cap wrote (default: the recipe's cap of the axis)")
    .option("--suites <name>", "a split of the model's recipe, or a file of prompts", "test")
    .option("--controls <n>", "random directions to cap beside the axis (default: 5)", wholeNumber)
    .option("--limit <n>", "at most this many prompts of each group of a suite", wholeNumber)
    .option("--run <folder>", "keep the collection here (default: in memory)");
  addModelOptions(command).addHelpText(
    "after",
    `
Examples:
  $ capstan evaluate --json
  $ capstan evaluate --suites dev --limit 20 --axis out/axis.safetensors --cap out/cap.safetensors`,
  );
  command.action(
    verb(async (io, options: Options) => {
      const axis = options.axis === undefined ? undefined : await readAxis(options.axis);
      const model = await loadModel(io, options);
      try {
        const caps = options.cap === undefined ? undefined : await readCapsFor(io, model, options.cap);
        const result = await evaluate(model, {
          ...(axis === undefined ? {} : { axis }),
          ...(caps === undefined ? {} : { caps }),
          ...(options.suites === undefined ? {} : { suites: options.suites }),
          ...(options.controls === undefined ? {} : { controls: options.controls }),
          ...(options.limit === undefined ? {} : { limit: options.limit }),
          ...(options.run === undefined ? {} : { out: options.run }),
          signal: io.signal,
          on_progress: showProgress(io),
        });
        await printEvaluation(io, result);
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
  const { layers, percentile } = result.cap;
  await io.print(
    `${result.split} prompts; cap on layers ${layers.start}:${layers.end}${percentile === null ? "" : `, percentile ${percentile}`}; ` +
      `cos(PC1, axis) ${result.axis.pc1_cosine.toFixed(2)} at layer ${result.axis.target_layer}`,
  );
  await io.print(
    `  ${"".padEnd(11)} ${"n".padStart(4)}  ${["uncapped", "capped", "random cap"].map((name) => name.padEnd(18)).join("")}`,
  );
  for (const [suite, { uncapped, capped, control }] of Object.entries(result.suites)) {
    const cells = [uncapped, capped, control].map((rate) =>
      (rate === undefined ? "-" : percent(rate)).padEnd(18),
    );
    await io.print(`  ${suite.padEnd(11)} ${String(uncapped.n).padStart(4)}  ${cells.join("")}`.trimEnd());
  }
}

function percent({ rate, low, high }: { rate: number; low: number; high: number }): string {
  const part = (x: number) => (100 * x).toFixed(0);
  return `${part(rate)} % [${part(low)}, ${part(high)}]`;
}
