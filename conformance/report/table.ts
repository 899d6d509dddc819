import { itemAt } from "../../models/certain.ts";
import { groupBy, shareOf } from "./heat.ts";
import type { ReadCase } from "./read.ts";

/**
 * Architecture x device x dtype (and runtime) as a Markdown table. A figure is the worst relative error of any row of the
 * architecture's cases as a share of its bound; where some fell short, how many passed; with q8 and q4 what they
 * themselves lose.
 */
export function conformanceTable(runs: readonly (readonly ReadCase[])[]): string {
  const all = runs.flat();
  const made = groupBy(all, columnOf);
  const families = [...groupBy(all, ({ architecture }) => architecture)].sort(([a], [b]) => (a < b ? -1 : 1));
  const rows = families.map(([architecture, of]) => {
    const names = [...new Set(of.map((one) => one.case))].map((name) => `\`${name}\``);
    const figures = [...made.keys()].map((key) => figure(of.filter((one) => columnOf(one) === key)));
    return [architecture, ...figures, names.join(", ")];
  });
  const heads = ["architecture", ...made.keys(), "cases"];
  const devices = new Set(
    all.map(({ device, runtime }) => {
      const where = runtime === null ? "" : `, in ${runtime}`;
      return `${device.kind}${where}: ${device.description}.`;
    }),
  );
  return [
    line(heads),
    line(heads.map(() => "---")),
    ...rows.map(line),
    "",
    ...devices,
    ...lossLines(all),
  ].join("\n");
}

/** `wasm f32, node`: a device, a dtype and, without its version, a runtime. */
function columnOf({ device, dtype, runtime }: ReadCase): string {
  return [`${device.kind} ${dtype}`, ...(runtime === null ? [] : [itemAt(runtime.split(" "), 0)])].join(", ");
}

function line(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replace(/\s+/g, " ")).join(" | ")} |`;
}

function figure(cases: readonly ReadCase[]): string {
  if (cases.length === 0) return "";
  const shares = cases.flatMap(({ runs }) =>
    runs.flatMap(({ sites }) =>
      sites.map(({ worst_relative_error: relative_error, bound }) => shareOf({ relative_error, bound })),
    ),
  );
  const worst = Math.max(0, ...shares).toFixed(2);
  const passed = cases.filter((one) => one.passed).length;
  const figure = passed === cases.length ? worst : `**${worst}** (${passed} of ${cases.length} pass)`;
  const losses = cases.flatMap(({ quantisation }) => quantisation?.worst.relative_error ?? []);
  return losses.length === 0 ? figure : `${figure}, loss ${Math.max(...losses).toPrecision(2)}`;
}

/** What is said of losses below the table, once for each dtype. */
function lossLines(all: readonly ReadCase[]): string[] {
  const named = new Map(
    all.flatMap(({ dtype, quantisation }) =>
      quantisation === null ? [] : [[dtype, quantisation.compared_with] as const],
    ),
  );
  return [...named].map(
    ([dtype, compared_with]) =>
      `${dtype}: errors are against the f64 truth with ${dtype} weights. The loss is that truth's own relative error ` +
      `against the reference, which the design puts at ${compared_with.toExponential()} and nothing is judged by.`,
  );
}
