import { type Command, Option } from "commander";
import { itemAt } from "../../models/certain.ts";
import { EXIT } from "../../sdk/cli/exit.ts";
import { type Io, verb } from "../../sdk/cli/io.ts";
import { caseFolders, inFolder } from "../check/folders.ts";
import { AIM, type CaseDistance, type RowErrors, type Summary, summarise } from "./distance.ts";
import { type Measured, measureCase } from "./measure.ts";

interface Options {
  device: "auto" | "wasm" | "webgpu" | "truth";
  json?: boolean;
}

/** `capstan conformance distance`. */
export function addDistance(conformance: Command): void {
  conformance
    .command("distance")
    .description("how far from float64 is this machine, beside transformers' own float32?")
    .argument("<cases...>", "folders of reference cases (files among them are passed over)")
    .addOption(
      new Option("--device <device>", "what is measured")
        .choices(["auto", "wasm", "webgpu", "truth"])
        .default("auto"),
    )
    .option("--json", "print one JSON object on stdout and nothing else")
    .addHelpText(
      "after",
      `
A row (a site of a token, or its logits) errs by its relative L2 distance from the f64 truth. For each case: the mean and
the worst row of the device and of what transformers stored, over every run and pass, and the device's over transformers'.
The aim is a ratio of means of ${AIM.mean} in the mean over the cases, and of ${AIM.worst} in the worst.

Examples:
  $ capstan conformance distance conformance/reference/*
  $ capstan conformance distance conformance/reference/llama-tied --device webgpu --json
  $ python conformance/reference/large.py --out large && capstan conformance distance large/*

Exit code 3: the aim is missed.`,
    )
    .action(verb((io, options: Options, cases: string[]) => run(io, cases, options)));
}

async function run(io: Io, paths: readonly string[], { device }: Options): Promise<0 | 3> {
  const folders = await caseFolders(io, paths, "measure reference cases");
  const measured: Measured[] = [];
  for (const folder of folders) {
    const one = await inFolder(io, folder, () =>
      measureCase(folder, {
        device,
        signal: io.signal,
        on_progress: ({ case: name, run: of, pass }) => io.progress.update(`${name}: ${of}, ${pass}`),
      }),
    );
    if (measured.length === 0) await io.print(`${one.device.description}, in ${one.runtime}\n${HEAD}`);
    measured.push(one);
    await io.print(line(one.distance));
  }
  const cases = measured.map(({ distance }) => distance);
  const summary = summarise(cases);
  await io.print(`\n${summaryText(summary)}`);
  const { device: on, runtime } = itemAt(measured, 0);
  await io.result({ device: on, runtime, ...summary, cases });
  return summary.reached ? EXIT.done : EXIT.fell_short;
}

const COLUMNS = ["rows", "device mean", "worst", "transf. mean", "worst", "ratio mean", "worst"];
const HEAD = "case".padEnd(24) + COLUMNS.map((text) => text.padStart(13)).join("");

function line({ case: name, n_rows, device, transformers, ratio }: CaseDistance): string {
  const error = ({ mean, worst }: RowErrors) => [mean.toExponential(2), worst.toExponential(2)];
  const numbers = [
    String(n_rows),
    ...error(device),
    ...error(transformers),
    ratio.mean.toFixed(2),
    ratio.worst.toFixed(2),
  ];
  return name.padEnd(24) + numbers.map((text) => text.padStart(13)).join("");
}

function summaryText({ n_cases, ratio, worst_row_ratio, aim, reached }: Summary): string {
  const of = ({ mean, worst, worst_case }: Summary["ratio"]) =>
    `${mean.toFixed(2)} in the mean over ${n_cases} cases, ${worst.toFixed(2)} at most (${worst_case})`;
  return (
    `mean row, over transformers': ${of(ratio)}\n` +
    `worst row, over transformers': ${of(worst_row_ratio)}\n` +
    `aim for the mean row: ${aim.mean.toFixed(2)} in the mean, ${aim.worst.toFixed(2)} at most: ${reached ? "reached" : "missed"}`
  );
}
