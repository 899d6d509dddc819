import { type Bounds, conditionName } from "../state/conditions.ts";
import { type Conversation, meanOf, type ReplyState, type Side, textOf } from "../state/conversation.ts";
import { chartMarkup, shortNumber } from "../view/chart.ts";
import { type Markup, markup, toHtml } from "../view/markup.ts";
import { seriesOf } from "../view/series.ts";
import { tintOf } from "../view/tint.ts";
import { snapshotOf } from "./snapshot.ts";

/** A conversation as files: JSON with every reading, Markdown to read, and HTML with the chart that needs nothing else. */

export function toJson(conversation: Conversation, bounds: Bounds): string {
  return `${JSON.stringify({ ...snapshotOf(conversation), bounds }, null, 2)}\n`;
}

export function toMarkdown(conversation: Conversation, bounds: Bounds): string {
  const { settings, turns } = conversation;
  const head = [
    `# Chat with ${settings.model}`,
    "",
    ...factsOf(conversation, bounds).map((fact) => `- ${fact}`),
  ];
  const body = turns.flatMap(({ user, replies }, i) => [
    "",
    `## Turn ${i + 1}`,
    "",
    ...quote(user),
    ...replies.flatMap((reply) => {
      if (reply === null) return [];
      const means = meansText(reply);
      return [
        "",
        `**${conditionName(reply.condition)}**${means === "" ? "" : ` (${means})`}`,
        "",
        textOf(reply) || "(empty)",
      ];
    }),
  ]);
  return `${[...head, ...body].join("\n")}\n`;
}

function quote(text: string): string[] {
  return text.split("\n").map((line) => `> ${line}`);
}

function factsOf({ settings }: Conversation, { floor, percentiles }: Bounds): string[] {
  const { system, layer, sampling } = settings;
  return [
    ...(system === "" ? [] : [`System prompt: ${system.replace(/\s+/g, " ")}`]),
    `Temperature ${sampling.temperature}, ${sampling.seed === null ? "no seed" : `seed ${sampling.seed}`}`,
    ...(layer === null ? [] : [`Projections on the Assistant axis at layer ${layer}; up is Assistant`]),
    ...(floor === null ? [] : [`The cap's floor there: ${shortNumber(floor)}`]),
    ...(percentiles === null
      ? []
      : [
          `Collected responses there: p25 ${shortNumber(percentiles[1])}, p75 ${shortNumber(percentiles[3])}`,
        ]),
  ];
}

function meansText(reply: ReplyState): string {
  const [before, after] = [meanOf(reply, "before"), meanOf(reply, "after")];
  if (after === null) return "";
  const same = before === null || Math.abs(before - after) < 1e-4;
  return same
    ? `mean projection ${shortNumber(after)}`
    : `mean projection ${shortNumber(before)} before the cap, ${shortNumber(after)} after`;
}

export function toPage(conversation: Conversation, bounds: Bounds, side: Side): string {
  const { settings, turns } = conversation;
  const title = `Chat with ${settings.model}`;
  const series = seriesOf(conversation, side);
  const chart = chartMarkup({
    series,
    bounds,
    width: 860,
    height: 260,
    linkOf: (turn) => `#turn-${turn + 1}`,
  });
  const head = markup(
    "head",
    {},
    markup("meta", { charset: "utf-8" }),
    markup("meta", { name: "viewport", content: "width=device-width, initial-scale=1" }),
    markup("meta", {
      "http-equiv": "content-security-policy",
      content: "default-src 'none'; style-src 'unsafe-inline'",
    }),
    markup("title", {}, title),
    markup("style", {}, STYLE),
  );
  const body = markup(
    "main",
    {},
    markup("h1", {}, title),
    markup("ul", { class: "facts" }, ...factsOf(conversation, bounds).map((fact) => markup("li", {}, fact))),
    chart,
    markup(
      "ul",
      { class: "legend" },
      ...series.map(({ name, column }) => markup("li", { class: `column-${column}` }, name)),
    ),
    markup(
      "ol",
      {},
      ...turns.map(({ user, replies }, i) =>
        markup(
          "li",
          { id: `turn-${i + 1}` },
          markup("h2", {}, `${i + 1}. ${user}`),
          markup(
            "div",
            { class: "replies" },
            ...replies.map((reply, column) => reply && replyMarkup(reply, column, bounds, side)),
          ),
        ),
      ),
    ),
  );
  return `<!doctype html>\n${toHtml(markup("html", { lang: "en" }, head, markup("body", {}, body)))}\n`;
}

function replyMarkup(reply: ReplyState, column: number, bounds: Bounds, side: Side): Markup {
  return markup(
    "section",
    { class: `column-${column}` },
    markup("h3", {}, conditionName(reply.condition)),
    markup(
      "p",
      { class: "text" },
      ...reply.tokens.map(({ text, reading }) => {
        const value = reading[side];
        const tint = tintOf(value, bounds);
        if (value === undefined || tint === null) return text;
        const percent = Math.round(tint.strength * 40);
        const style = `background:color-mix(in srgb,var(--${tint.side}) ${percent}%,transparent)`;
        return markup("span", { title: shortNumber(value), style }, text);
      }),
    ),
    markup("p", { class: "means" }, meansText(reply)),
  );
}

const STYLE = `
:root{color-scheme:light dark;--paper:#fbfaf8;--card:#fff;--ink:#1d2329;--soft:#55606b;--line:#ddd9d2;--column-0:#a8480c;--column-1:#0b6b78;--low:#f0803c;--high:#2aa3b0;--floor:#b3261e;--band:#8a93a0}
@media(prefers-color-scheme:dark){:root{--paper:#14181c;--card:#1c2227;--ink:#e8eaec;--soft:#a3adb7;--line:#323a42;--column-0:#f2a365;--column-1:#5cc3d0;--low:#d8621c;--high:#1c8a98;--floor:#ff8a80;--band:#77828e}}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:900px;margin:0 auto;padding:24px 16px}
h1{font-size:22px}h2{font-size:15px}h3{margin:0;font-size:13px}
ul,ol{list-style:none;padding:0}.facts,.means{color:var(--soft);font-size:13px}
.legend{display:flex;gap:16px;font-size:13px}
.column-0 h3,.legend .column-0{color:var(--column-0)}.column-1 h3,.legend .column-1{color:var(--column-1)}
.replies{display:grid;grid-template-columns:repeat(auto-fit,minmax(260px,1fr));gap:12px}
section{padding:10px 14px;border:1px solid var(--line);border-radius:10px;background:var(--card)}
.text{white-space:pre-wrap;overflow-wrap:anywhere}
li:target{outline:3px solid var(--column-1);outline-offset:6px;border-radius:8px}
.chart{width:100%;height:auto;font:11px system-ui,sans-serif}.chart text{fill:var(--soft)}.chart .tick line{stroke:var(--line)}
.chart .band{fill:var(--band);fill-opacity:.2}.chart .band.wide{fill-opacity:.12}.chart .median{stroke:var(--band)}
.chart .floor{stroke:var(--floor);stroke-width:1.5;stroke-dasharray:6 4}.chart .assistant{stroke:var(--soft);stroke-dasharray:1 4;stroke-width:1.5}.chart .floor-label{fill:var(--floor)}
.chart .line{stroke-width:2.5}.chart .line.column-0{stroke:var(--column-0)}.chart .line.column-1{stroke:var(--column-1)}
.chart .target{fill:transparent}.chart .column-0 .mark{fill:var(--column-0)}.chart .column-1 .mark{fill:var(--column-1)}
`;
