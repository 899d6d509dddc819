import { type Command, Option } from "commander";
import { present } from "../../models/certain.ts";
import { EXIT } from "../../sdk/cli/exit.ts";
import { type Io, verb } from "../../sdk/cli/io.ts";
import { writeFileAtomic } from "../../sdk/platform/index.ts";
import type { FidelityDtype } from "../bounds.ts";
import { addDistance } from "../distance/verb.ts";
import { HOSTS } from "../hosts/index.ts";
import { addDiff } from "../report/diff_verb.ts";
import { htmlReport } from "../report/html.ts";
import { junitReport } from "../report/junit.ts";
import { addMake } from "../report/make_verb.ts";
import { addTable } from "../report/table_verb.ts";
import { explained, judgeOf, lossText } from "./explained.ts";
import { caseFolders, inFolder } from "./folders.ts";
import { type CheckOptions, checkCase } from "./index.ts";
import type { CaseReport, Cell, GreedyReport } from "./report.ts";

interface Options {
  device: "auto" | "wasm" | "webgpu" | "truth";
  dtype: FidelityDtype;
  runtime: "here" | keyof typeof HOSTS;
  json?: boolean;
  explain?: boolean;
  report?: string;
  junit?: string;
}

export function addConformance(program: Command): void {
  const conformance = program
    .command("conformance")
    .description("does this machine compute what the reference computes?")
    .argument("[cases...]", "folders of reference cases; without any, those that came with Capstan")
    .addOption(
      new Option("--device <device>", "what runs it; truth is f64 in plain TypeScript")
        .choices(["auto", "wasm", "webgpu", "truth"])
        .default("auto"),
    )
    .addOption(
      new Option(
        "--dtype <dtype>",
        "how weights are kept; decides the bounds (q8 and q4: from the f64 truth with such weights)",
      )
        .choices(["auto", "f32", "f16", "q8", "q4"])
        .default("auto"),
    )
    .addOption(
      new Option(
        "--runtime <runtime>",
        "where: this runtime, Chromium (without a window), a page you open, or workerd",
      )
        .choices(["here", ...Object.keys(HOSTS)])
        .default("here"),
    )
    .option("--explain", "ask the f64 truth about every case: which site is the first to be over its bound")
    .option(
      "--report <file.html>",
      "write a page: errors against bounds as a heat map, worst cells, greedy tokens (default: none)",
    )
    .option("--junit <file.xml>", "write what passed and failed as JUnit's XML (default: none)")
    .option("--json", "print one JSON object on stdout and nothing else")
    .addHelpText(
      "after",
      `
Examples:
  $ capstan conformance
  $ capstan conformance conformance/reference/qwen3-tied --json
  $ capstan conformance --report out.html --junit out.xml
  $ capstan conformance --runtime workerd
  $ capstan conformance conformance/reference/llama-* --runtime chromium --device webgpu

Exit code 3: a case is out of its bounds.`,
    )
    .action(verb((io, options: Options, cases: string[]) => run(io, cases, options)));
  addDiff(conformance);
  addDistance(conformance);
  addMake(conformance);
  addTable(conformance);
}

async function run(io: Io, paths: readonly string[], options: Options): Promise<0 | 3> {
  const folders = await caseFolders(io, paths, "check reference cases");
  const reports: CaseReport[] = [];
  await using checker = await openChecker(io, options);
  for (const folder of folders) {
    const report = await inFolder(io, folder, () => checker.check(folder));
    if (reports.length === 0) {
      const { device, dtype, runtime } = report;
      await io.print(`${device.description}, dtype ${dtype}, in ${runtime}, held to ${judgeOf(dtype)}`);
    }
    reports.push(report);
    await io.print(line(report));
  }
  const failed = reports.filter(({ passed }) => !passed);
  for (const report of failed) for (const text of details(report)) await io.print(text);
  if (options.explain === true) {
    const rest = reports.filter(({ passed }) => passed);
    for (const report of rest)
      await io.print(
        `${report.case}: ${explained(report, present(report.divergence, "what was asked of the truth"))}`,
      );
  }
  const cells = reports.reduce(
    (sum, { runs }) => sum + runs.reduce((n, { sites }) => n + sites.length, 0),
    0,
  );
  await io.print(
    `${reports.length - failed.length} of ${reports.length} cases within bounds (${cells} sites compared)`,
  );
  for (const text of skippedLines(reports)) await io.print(text);
  await writeReports(io, reports, options);
  await io.result({ passed: failed.length === 0, cases: reports });
  return failed.length === 0 ? EXIT.done : EXIT.fell_short;
}

async function writeReports(
  io: Io,
  reports: readonly CaseReport[],
  { report, junit }: Options,
): Promise<void> {
  for (const [path, text] of [
    [report, htmlReport],
    [junit, junitReport],
  ] as const) {
    if (path === undefined) continue;
    await writeFileAtomic(path, text(reports));
    await io.print(`wrote ${path}`);
  }
}

type CheckFolder = (folder: string) => Promise<CaseReport>;

/** What checks a case: this runtime, or another. */
async function openChecker(
  io: Io,
  { device, dtype, explain: always, runtime }: Options,
): Promise<AsyncDisposable & { check: CheckFolder }> {
  const explain = always === true ? "always" : "failed";
  if (runtime === "here") {
    const options: CheckOptions = {
      ...{ device, dtype, explain, signal: io.signal },
      on_progress: ({ case: name, run: of, pass }) => io.progress.update(`${name}: ${of}, ${pass}`),
    };
    return { check: (folder) => checkCase(folder, options), [Symbol.asyncDispose]: async () => {} };
  }
  const host = await HOSTS[runtime]({ signal: io.signal, note: io.note });
  return {
    check(folder) {
      io.progress.update(`${folder}: in ${runtime}`);
      return host.check(folder, { device, dtype, explain });
    },
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
}

/** What no reference could be compared with, and why: one line for each reason. */
function skippedLines(reports: readonly CaseReport[]): string[] {
  const counts = new Map<string, number>();
  for (const { pass, reason } of reports.flatMap(({ skipped }) => skipped)) {
    const text = `${pass}: ${reason}`;
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return [...counts].map(([text, count]) => `${count} passes not compared, ${text}`);
}

/** `ok   qwen3-tied    6 passes, worst 0.31 of its bound (floor, stepwise: logits, token 12)` */
function line({ case: name, passed, runs, worst, dtype, quantisation }: CaseReport): string {
  const share = (worst.relative_error / worst.bound).toFixed(2);
  const where = `${worst.name}, ${worst.pass}: ${worst.site}, token ${worst.token}`;
  const passes = `${runs.length} passes`.padEnd(10);
  const loss = quantisation === null ? "" : `; ${lossText(dtype, quantisation)}`;
  return `${passed ? "ok  " : "FAIL"} ${name.padEnd(24)} ${passes} worst ${share} of its bound (${where})${loss}`;
}

function details(report: CaseReport): string[] {
  const { case: name, runs, generated, divergence } = report;
  const lines = [`\n${name}`];
  for (const { name: run, pass, passed, worst, greedy } of runs) {
    if (passed) continue;
    if (worst.relative_error > worst.bound) lines.push(`  ${run}, ${pass}: ${cell(worst)}`);
    lines.push(...wrongToken(`  ${run}, ${pass}`, greedy));
  }
  for (const { name: run, greedy } of generated) lines.push(...wrongToken(`  ${run}, generate`, greedy));
  if (divergence !== null) lines.push(`  ${explained(report, divergence)}`);
  return lines;
}

function cell({ site, token, element, expected, got, relative_error, bound }: Cell): string {
  return (
    `${site}, token ${token}: relative error ${relative_error.toExponential(2)} over ${bound.toExponential(2)}; ` +
    `element ${element} is ${got}, expected ${expected}`
  );
}

function wrongToken(where: string, { wrong }: GreedyReport): string[] {
  if (wrong === null) return [];
  return [`${where}: greedy token at ${wrong.token} is ${wrong.got}, expected ${wrong.expected}`];
}
