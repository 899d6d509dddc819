import { judgeOf, lossText } from "../check/explained.ts";
import type { CaseReport, GreedyReport, RunReport } from "../check/report.ts";
import { element, escapeMarkup } from "./markup.ts";

/** The reports as JUnit's XML: a suite a case, a test case for each pass of a run and for what `generate` wrote. */
export function junitReport(reports: readonly CaseReport[]): string {
  const counts = total(reports.map(countOf));
  const suites = reports.map((report) => `\n${suite(report)}`);
  return `<?xml version="1.0" encoding="UTF-8"?>\n${element("testsuites", { name: "capstan conformance", ...counts }, ...suites, "\n")}\n`;
}

interface Counts {
  tests: number;
  failures: number;
  skipped: number;
}

function countOf({ runs, generated, skipped }: CaseReport): Counts {
  const ran = [...runs, ...generated];
  return {
    tests: ran.length + skipped.length,
    failures: ran.filter(({ passed }) => !passed).length,
    skipped: skipped.length,
  };
}

function total(counts: readonly Counts[]): Counts {
  const sum = (name: keyof Counts) => counts.reduce((n, one) => n + one[name], 0);
  return { tests: sum("tests"), failures: sum("failures"), skipped: sum("skipped") };
}

function suite(report: CaseReport): string {
  const { case: name, architecture, device, dtype, runs, generated, skipped, quantisation } = report;
  const values = {
    architecture,
    device: device.description,
    dtype,
    judged_by: judgeOf(dtype),
    ...(quantisation === null ? {} : { quantisation: lossText(dtype, quantisation) }),
  };
  const properties = Object.entries(values).map(([key, value]) => element("property", { name: key, value }));
  const test = (run: string, ...inner: string[]) =>
    `\n  ${element("testcase", { classname: `${architecture}.${name}`, name: run }, ...inner)}`;
  return element(
    "testsuite",
    { name, ...countOf(report), errors: 0 },
    `\n  ${element("properties", {}, ...properties)}`,
    ...runs.map((run) => test(`${run.name}, ${run.pass}`, ...(run.passed ? [] : [failure(run)]))),
    ...generated.map(({ name: run, passed, greedy }) =>
      test(`${run}, generate`, ...(passed ? [] : [element("failure", { message: wrongToken(greedy) })])),
    ),
    ...skipped.map(({ name: run, pass, reason }) =>
      test(`${run}, ${pass}`, element("skipped", { message: reason })),
    ),
    "\n",
  );
}

/** The first line says the worst; below it stands every site over its bound. */
function failure({ worst, sites, greedy }: RunReport): string {
  const over = sites.filter(({ worst_relative_error, bound }) => !(worst_relative_error <= bound));
  const { site, token, relative_error, bound } = worst;
  const message =
    over.length === 0
      ? wrongToken(greedy)
      : `${site}, token ${token}: relative error ${relative_error.toExponential(2)} over ${bound.toExponential(2)}`;
  const lines = over.map(
    (one) => `${one.site}: ${one.worst_relative_error.toExponential(2)} over ${one.bound.toExponential(2)}`,
  );
  return element("failure", { message }, escapeMarkup(lines.join("\n")));
}

function wrongToken({ wrong }: GreedyReport): string {
  if (wrong === null) return "";
  return `greedy token at ${wrong.token} is ${wrong.got}, expected ${wrong.expected}`;
}
