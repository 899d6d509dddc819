import { faultsOf, type Mutant } from "../mutants.ts";

const page = "edge-worker/page";
const server = `${page}/backend/server.test.ts`;
const player = `${page}/state/player.test.ts`;
const chart = `${page}/view/chart.test.ts`;
const exported = `${page}/export/export.test.ts`;
const files = "edge-worker/routes/page.test.ts";

/** The page, and how a server sends it. */
export const PAGE: readonly Mutant[] = [
  ...faultsOf(`${page}/backend/events.ts`, `${page}/backend/events.test.ts`, [
    ["half of CRLF ends a line", "!is_all && found.index", "is_all && found.index"],
    ["events of no data", 'if (name === "data")', 'if (name !== "data")'],
  ]),
  ...faultsOf(`${page}/backend/server.ts`, server, [
    ["before is after", "const out = axis ?? after;", "const out = before ?? after;"],
    ["a reply that was cut off is whole", "if (!has_ended)", "if (has_ended)"],
    ["no key is sent", 'if (this.key !== "")', 'if (this.key === "")'],
  ]),
  ...faultsOf(`${page}/local/local_backend.ts`, server, [
    ["steering the other way", "coefficient: steering / 100", "coefficient: -steering / 100"],
    ["own caps cap nothing", "[makeCap(this.#axis, chosen)]", "[]"],
  ]),
  ...faultsOf(`${page}/state/player.ts`, player, [
    [
      "plays on after a failure",
      "(turn, column, signal)));\n    return done.every",
      "(turn, column, signal)));\n    return done.some",
    ],
    ["a stopped reply still runs", 'reply.status = "stopped"', 'reply.status = "running"'],
  ]),
  ...faultsOf(`${page}/state/conversation.ts`, player, [
    ["reasoning is said again", "!is_reasoning", "is_reasoning"],
    [
      "later turns stay after an edit",
      "edit(turn: Turn, user: string): void {\n    this.turns.length",
      "edit(turn: Turn, user: string): void {\n    this.#next_id",
    ],
  ]),
  ...faultsOf(`${page}/state/conditions.ts`, `${page}/state/conditions.test.ts`, [
    ["a pinned cap has an uncapped column", "if (model.pinned || named === null)", "if (named === null)"],
    ["the floor is that of another layer", "[layer - card.layers.start]", "[layer]"],
  ]),
  ...faultsOf(`${page}/view/chart.ts`, chart, [
    ["up is down", "bottom - ((value", "MARGIN.top + ((value"],
    ["the floor is drawn at 0", "y1: y(floor)", "y1: y(0)"],
  ]),
  ...faultsOf(`${page}/view/markup.ts`, chart, [["quotes stand in attributes", "[&<>\"']", "[&<>]"]]),
  ...faultsOf(`${page}/export/snapshot.ts`, exported, [
    ["numbers beyond their range", "value >= min && value <= max", "value >= min || value <= max"],
    [
      "any cap is read",
      "if (value === null) return null;\n  if (typeof",
      "if (value !== 0) return null;\n  if (typeof",
    ],
  ]),
  ...faultsOf(`${page}/export/share.ts`, exported, [
    ["a link may unfold to anything", "size > MOST_BYTES", "size < 0"],
    ["long links keep every token", "whole.length <= LONG", "whole.length > 0"],
  ]),
  ...faultsOf("edge-worker/routes/page.ts", files, [
    [
      "inline scripts run",
      "\"script-src 'self' 'wasm-unsafe-eval'\"",
      "\"script-src 'self' 'unsafe-inline'\"",
    ],
    ["the hub is never let in", 'searchParams.has("local")', 'searchParams.has("remote")'],
    ["ranges end a byte early", "Number(last) + 1", "Number(last)"],
  ]),
  ...faultsOf("edge-worker/policy/readings.ts", "edge-worker/policy/layer.test.ts", [
    ["the layer that was asked for is passed over", "indexOf(layer ?? -1)", "indexOf(-1)"],
  ]),
];
