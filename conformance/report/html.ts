import { itemAt, present } from "../../models/certain.ts";
import { explained, judgeOf } from "../check/explained.ts";
import type { CaseReport, Cell, GreedyReport, Pass, QuantisationLoss } from "../check/report.ts";
import { groupBy, type HeatCell, type HeatColumn, heatColumns, heatRow, shareOf } from "./heat.ts";
import { element, escapeMarkup } from "./markup.ts";
import { STYLE } from "./style.ts";

/** How many of the worst cells, and of the largest losses, the report lists. */
const N_WORST = 15;

/**
 * The reports as one HTML page that needs nothing else: for each device a heat map of cases (by architecture) over
 * sites, each cell the worst relative error of all runs and passes as a share of its bound; the worst cells; the
 * greedy choices.
 */
export function htmlReport(reports: readonly CaseReport[]): string {
  const devices = groupBy(
    reports,
    ({ device, dtype, runtime }) => `${device.description}, dtype ${dtype}, in ${runtime}`,
  );
  const sections = [...devices].flatMap(([device, of]) => [
    element("h2", {}, escapeMarkup(device)),
    element("p", {}, `Held to ${escapeMarkup(judgeOf(itemAt(of, 0).dtype))}.`),
    heatMap(of),
    ...lossSection(of),
  ]);
  const body = [
    element("h1", {}, "Conformance"),
    verdict(reports),
    ...sections,
    ...divergences(reports),
    element("h2", {}, "Worst cells"),
    element(
      "p",
      {},
      "The row nearest to its bound (or furthest past it) of each run and pass, the worst first.",
    ),
    worstCells(reports),
    element("h2", {}, "Greedy tokens"),
    element(
      "p",
      {},
      "Tokens of the continuation that the reference (with q8 and q4: the truth) chooses by more than the bound, and how ",
      "many came out so: from its own tokens in each pass, and as generate writes by itself.",
    ),
    greedySection(reports),
  ];
  const head = `<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Conformance</title><style>${STYLE}</style>`;
  return `<!doctype html>\n<html lang="en"><head>${head}</head>\n<body><main>\n${body.join("\n")}\n</main></body></html>\n`;
}

function verdict(reports: readonly CaseReport[]): string {
  const failed = reports.filter(({ passed }) => !passed).length;
  const cells = reports.flatMap(({ runs }) => runs).reduce((n, { sites }) => n + sites.length, 0);
  const said = element(
    "b",
    failed > 0 ? { class: "bad" } : {},
    `${reports.length - failed} of ${reports.length} cases within bounds`,
  );
  return element("p", { class: "verdict" }, said, `; ${cells} sites compared.`);
}

function heatMap(reports: readonly CaseReport[]): string {
  const columns = heatColumns(reports.map(heatRow));
  const rows = [...groupBy(reports, ({ architecture }) => architecture).values()].flatMap((of) =>
    of.map((report, i) => heatLine(report, columns, i === 0)),
  );
  const table = element(
    "table",
    { class: "heat" },
    element("thead", {}, ...heatHeads(columns)),
    element("tbody", {}, ...rows.map((row) => `\n${row}`)),
  );
  return `${LEGEND}\n${element("div", { class: "wide" }, table)}`;
}

/** The blocks, and below them their sites where there is more than one of any. */
function heatHeads(columns: readonly HeatColumn[]): string[] {
  const blocks = [...groupBy(columns, ({ block }) => String(block)).values()];
  const heads = blocks.map((of) =>
    element(
      "th",
      { class: "site", ...(of.length > 1 ? { colspan: String(of.length) } : {}) },
      Number.isFinite(itemAt(of, 0).block) ? String(itemAt(of, 0).block) : "logits",
    ),
  );
  const first = element("tr", {}, "<th>architecture</th><th>case</th><th></th>", ...heads);
  if (blocks.length === columns.length) return [first];
  const kinds = columns.map(({ block, kind }) =>
    element("th", { class: "site" }, Number.isFinite(block) ? kind : ""),
  );
  return [first, element("tr", {}, "<th></th><th></th><th></th>", ...kinds)];
}

const LEGEND = element(
  "div",
  { class: "legend" },
  "<span>Worst relative L2 error of a row, as a share of its bound, at each site of each block and in the logits:</span>",
  ...[0, 0.25, 0.5, 1].map((share) => `<span><i style="--share: ${tint(share)}"></i>${share}</span>`),
  '<span><i class="over"></i>over its bound</span>',
);

function heatLine(report: CaseReport, columns: readonly HeatColumn[], is_first: boolean): string {
  const cells = heatRow(report);
  return element(
    "tr",
    is_first ? { class: "family" } : {},
    element("th", { class: "of" }, is_first ? escapeMarkup(report.architecture) : ""),
    element("th", { class: "name" }, escapeMarkup(report.case)),
    element("td", { class: report.passed ? "ok" : "wrong" }, report.passed ? "✓" : "✗"),
    ...columns.map(({ site }) => {
      const cell = cells.get(site);
      return cell === undefined ? "<td></td>" : heatCell(cell);
    }),
  );
}

function heatCell({ site, share, relative_error, bound, run, pass }: HeatCell): string {
  const title = `${site}: ${relative_error.toExponential(2)} of ${bound.toExponential(2)} (${run}, ${pass})`;
  if (!(share <= 1)) return element("td", { class: "cell over", title }, shareText(share));
  return element("td", { class: "cell", style: `--share: ${tint(share)}`, title }, shareText(share));
}

/** How deep a share is coloured: by its root, since most are small. */
function tint(share: number): string {
  return Math.sqrt(share).toFixed(3);
}

function shareText(share: number): string {
  if (!Number.isFinite(share)) return "∞";
  return share >= 100 ? share.toExponential(0) : share.toFixed(2);
}

/** What quantising itself costs, the case that loses most first. */
function lossSection(reports: readonly CaseReport[]): string[] {
  const lines = reports
    .flatMap(({ case: name, quantisation }) => (quantisation === null ? [] : [{ name, ...quantisation }]))
    .sort((a, b) => b.worst.relative_error - a.worst.relative_error)
    .slice(0, N_WORST);
  if (lines.length === 0) return [];
  const { dtype } = itemAt(reports, 0);
  const compared_with = itemAt(lines, 0).compared_with.toExponential();
  return [
    element("h3", {}, `What ${escapeMarkup(dtype)} itself costs`),
    element(
      "p",
      {},
      `The f64 truth with ${escapeMarkup(dtype)} weights against the reference: the row that is furthest off, of the cases `,
      `that lose most, also as a multiple of the ${compared_with} that the design names. No device can help it, and nothing is judged by it.`,
    ),
    table(
      ["case", "run", "site", "token", "loss", `of ${compared_with}`].map((head, i) => ({
        head,
        number: i > 2,
      })),
      lines.map(lossLine),
    ),
  ];
}

function lossLine({ name, compared_with, worst }: QuantisationLoss & { name: string }): string {
  const { name: run, site, token, relative_error } = worst;
  const times = shareText(relative_error / compared_with);
  return element(
    "tr",
    {},
    ...[name, run].map((text) => element("td", {}, escapeMarkup(text))),
    element("td", {}, element("code", {}, escapeMarkup(site))),
    ...[token, relative_error.toExponential(2), `${times} ×`].map((number) =>
      element("td", { class: "number" }, String(number)),
    ),
  );
}

/** What the f64 truth said of the cases that it was asked about. */
function divergences(reports: readonly CaseReport[]): string[] {
  const asked = reports.filter(({ divergence }) => divergence !== null);
  if (asked.length === 0) return [];
  const lines = asked.map((report) => {
    const text = escapeMarkup(explained(report, present(report.divergence, "what was asked of the truth")));
    return element("li", {}, element("b", {}, escapeMarkup(report.case)), ` ${text}`);
  });
  return [element("h2", {}, "Site by site against the f64 truth"), element("ul", {}, ...lines)];
}

function worstCells(reports: readonly CaseReport[]): string {
  const worst = reports
    .flatMap((report) => report.runs.map(({ name, pass, worst }) => ({ report, name, pass, cell: worst })))
    .sort((a, b) => shareOf(b.cell) - shareOf(a.cell))
    .slice(0, N_WORST);
  const heads = ["case", "run", "site", "token", "element", "expected", "got", "error", "bound", "share"];
  return table(
    heads.map((head, i) => ({ head, number: i > 2 })),
    worst.map(({ report, name, pass, cell }) => worstLine(report.case, name, pass, cell)),
  );
}

function worstLine(name: string, run: string, pass: Pass, cell: Cell): string {
  const { site, token, element: at, expected, got, relative_error, bound } = cell;
  const numbers = [
    token,
    at,
    expected.toPrecision(6),
    got.toPrecision(6),
    relative_error.toExponential(2),
    bound.toExponential(2),
  ];
  const share = shareOf(cell);
  return element(
    "tr",
    {},
    ...[name, `${run}, ${pass}`].map((text) => element("td", {}, escapeMarkup(text))),
    element("td", {}, element("code", {}, escapeMarkup(site))),
    ...numbers.map((number) => element("td", { class: "number" }, String(number))),
    element("td", { class: share <= 1 ? "number" : "number over" }, shareText(share)),
  );
}

/** Open only where something is wrong. */
function greedySection(reports: readonly CaseReport[]): string {
  const all = reports.flatMap(({ runs, generated }) => [...runs, ...generated].map(({ greedy }) => greedy));
  const wrong = all.filter((greedy) => greedy.wrong !== null).length;
  const certain = all.reduce((n, greedy) => n + greedy.certain, 0);
  const said = wrong === 0 ? `all ${certain} as they should be` : `wrong in ${wrong} of ${all.length} passes`;
  const summary = element("summary", wrong === 0 ? {} : { class: "wrong" }, said);
  return element("details", wrong === 0 ? {} : { open: "" }, summary, greedyTable(reports));
}

function greedyTable(reports: readonly CaseReport[]): string {
  const rows = reports.flatMap(({ case: name, runs, generated }) =>
    [...groupBy(runs, ({ name: run }) => run)].map(([run, passes]) => {
      const written = generated.find(({ name: other }) => other === run)?.greedy;
      const by = (pass: Pass) => passes.find((one) => one.pass === pass)?.greedy;
      const cells = [by("prefill"), by("stepwise"), written].map(greedyCell);
      return element("tr", {}, ...[name, run].map((text) => element("td", {}, escapeMarkup(text))), ...cells);
    }),
  );
  return table(
    ["case", "run", "prefill", "stepwise", "generate"].map((head) => ({ head, number: false })),
    rows,
  );
}

function greedyCell(greedy: GreedyReport | undefined): string {
  if (greedy === undefined) return '<td title="the reference says nothing about this pass">not compared</td>';
  const { certain, n_tokens, wrong } = greedy;
  if (wrong === null) return element("td", { class: "ok" }, `${certain} of ${n_tokens} ✓`);
  return element("td", { class: "wrong" }, `token ${wrong.token}: ${wrong.got}, expected ${wrong.expected}`);
}

function table(heads: readonly { head: string; number: boolean }[], rows: readonly string[]): string {
  const line = heads.map(({ head, number }) => element("th", number ? { class: "number" } : {}, head));
  const inner = `<thead><tr>${line.join("")}</tr></thead><tbody>${rows.map((row) => `\n${row}`).join("")}</tbody>`;
  return element("div", { class: "wide" }, element("table", {}, inner));
}
