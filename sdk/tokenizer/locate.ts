import { CapstanError, show } from "../../models/index.ts";
import type { Message, TemplateArgs } from "../types.ts";
import type { AddedTokens } from "./added.ts";

/**
 * Where the messages' own text lies in a rendered chat.
 *
 * A template may trim a content, drop it, or take parts out of it, and tells nobody. So it is rendered twice: as it
 * is, and with the messages' texts between marks which stand in none of them. When the second rendering without its
 * marks is the first, the marks say where the texts went. A template that looks into a text may be put off by the
 * marks; then they are set more sparingly, text by text.
 */

/** A stretch of the rendering, characters [start, end), that came from a message. */
export interface Region {
  /** Index of the message whose `content` it is; null for other texts of messages and tools. */
  turn: number | null;
  /** Which text of the request. */
  leaf: number;
  start: number;
  end: number;
}

export interface Located {
  text: string;
  /** In the order of the text; a content may have several, or none where the template drops it. */
  regions: Region[];
}

export type Render = (messages: readonly Message[], args: TemplateArgs) => string;

/**
 * How a text is marked: as a whole; without the whitespace at its ends; between the tags in it, which the template
 * looks for (`</think>`); or not at all.
 */
type Marking = "whole" | "core" | "between_tags" | "none";
const MARKINGS: readonly Marking[] = ["whole", "core", "between_tags"];

/** A text that came with the request and may end up in the rendering. */
interface Leaf {
  text: string;
  turn: number | null;
  /** An assistant's content: templates take its tags (`<think>`) out and put their own in. */
  is_reply: boolean;
}

/** @throws CapstanError `bad_request` where a text with control tokens in it cannot be told from the template's own */
export function locate(
  messages: readonly Message[],
  args: TemplateArgs,
  render: Render,
  added: AddedTokens,
): Located {
  const text = render(messages, args);
  const leaves: Leaf[] = [];
  const keep = (leaf: Leaf) => {
    leaves.push(leaf);
    return leaf.text;
  };
  visitTexts(messages, args, added, keep);
  const rendered = (change: (leaf: Leaf, k: number) => string) => {
    let next = 0;
    const changed = visitTexts(messages, args, added, (leaf) => change(leaf, next++));
    return render(changed.messages, changed.args);
  };
  const marks = chooseMarks([text, ...leaves.map((leaf) => leaf.text)]);
  const attempt = (markings: readonly Marking[]) => {
    try {
      const marked = rendered((leaf, k) => markText(leaf.text, markings[k]!, marks.around(k), added));
      return readMarks(marked, text, leaves, marks.pattern);
    } catch (error) {
      // A template may refuse what it took without marks.
      if (error instanceof CapstanError) return null;
      throw error;
    }
  };
  const all = (marking: Marking) => attempt(leaves.map(() => marking));
  const tagged = (marking: Marking) =>
    attempt(leaves.map((leaf) => (added.occursIn(leaf.text) ? "between_tags" : marking)));
  const marked =
    all("whole") ?? all("core") ?? tagged("whole") ?? tagged("core") ?? markOneByOne(leaves, attempt);
  const regions = search(marked, text, leaves, added);
  checkControl(regions, text, leaves, rendered, added);
  return { text, regions };
}

/** The least sparing marking that each text bears when it alone is marked. */
function markOneByOne(leaves: readonly Leaf[], attempt: (markings: Marking[]) => Region[] | null): Region[] {
  const markings = leaves.map((_, k) => {
    const alone = (marking: Marking) => leaves.map((_, j): Marking => (j === k ? marking : "none"));
    return MARKINGS.find((marking) => attempt(alone(marking)) !== null) ?? "none";
  });
  return attempt(markings) ?? [];
}

/**
 * Visits every text that might reach the rendering: the contents of all messages, and whatever other text (tool
 * calls, names, tool descriptions, keys of objects) holds an added token. Gives the request back with what `visit`
 * made of them. Other texts are left alone, since templates compare them (`type == "function"`).
 */
function visitTexts(
  messages: readonly Message[],
  args: TemplateArgs,
  added: AddedTokens,
  visit: (leaf: Leaf) => string,
): { messages: Message[]; args: TemplateArgs } {
  const text = (value: string) =>
    added.occursIn(value) ? visit({ text: value, turn: null, is_reply: false }) : value;
  const deep = (value: unknown): unknown => {
    if (typeof value === "string") return text(value);
    if (Array.isArray(value)) return value.map(deep);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [text(key), deep(item)]));
  };
  const visited = messages.map((message, turn) => {
    const { role, content, ...others } = message;
    const is_text = typeof content === "string" && content !== "";
    const seen = is_text ? visit({ text: content, turn, is_reply: role === "assistant" }) : content;
    // In the message's own order of fields: a template may print it as JSON.
    const others_seen = deep(others) as Record<string, unknown>;
    return { ...message, ...others_seen, role, content: seen };
  });
  return { messages: visited, args: deep(args) as TemplateArgs };
}

interface Marks {
  around(k: number): (text: string) => string;
  /** Groups: k, then which side. */
  pattern: RegExp;
}

/** Marks of private-use characters with a number that makes them occur in none of the texts. */
function chooseMarks(texts: readonly string[]): Marks {
  let nonce = 0;
  while (texts.some((text) => text.includes(`\ue000${nonce}\ue001`))) nonce++;
  const mark = `\ue000${nonce}\ue001`;
  return {
    around: (k) => (text) => `${mark}${k}\ue002${text}${mark}${k}\ue003`,
    pattern: new RegExp(`${mark}(\\d+)([\ue002\ue003])`, "g"),
  };
}

function markText(
  text: string,
  marking: Marking,
  around: (text: string) => string,
  added: AddedTokens,
): string {
  switch (marking) {
    case "whole":
      return around(text);
    case "core":
      return markCore(text, around);
    case "between_tags": {
      // Control tokens stay inside the marks: a template may look for tags, not for these.
      const is_tag = (piece: { token: { special: boolean } | null }) => piece.token?.special === false;
      let marked = "";
      let from = 0;
      for (const tag of [...added.split(text).filter(is_tag), { start: text.length, end: text.length }]) {
        marked += markCore(text.slice(from, tag.start), around) + text.slice(tag.start, tag.end);
        from = tag.end;
      }
      return marked;
    }
    case "none":
      return text;
    default:
      return marking satisfies never;
  }
}

/** Marks a text inside the whitespace at its ends, which templates strip. */
function markCore(text: string, around: (text: string) => string): string {
  const core = text.trim();
  if (core === "") return text;
  const start = text.indexOf(core);
  return text.slice(0, start) + around(core) + text.slice(start + core.length);
}

/** The regions between marks, or null when the marks changed the rendering or came out of order. */
function readMarks(marked: string, text: string, leaves: readonly Leaf[], pattern: RegExp): Region[] | null {
  const regions: Region[] = [];
  let plain = "";
  let from = 0;
  let open: { k: string; start: number } | null = null;
  for (const match of marked.matchAll(pattern)) {
    plain += marked.slice(from, match.index);
    from = match.index + match[0].length;
    const [, k, side] = match as unknown as [string, string, string];
    if (side === "\ue002") {
      if (open !== null) return null;
      open = { k, start: plain.length };
    } else {
      if (open?.k !== k) return null;
      const leaf = Number(k);
      regions.push({ turn: leaves[leaf]!.turn, leaf, start: open.start, end: plain.length });
      open = null;
    }
  }
  plain += marked.slice(from);
  return open === null && plain === text ? regions : null;
}

/**
 * Completes what the marks told. A text that was marked between its tags, or not at all, and stands in the rendering
 * as it is, is one region, tags included. A reply's tags stay the template's, which puts them where they belong.
 */
function search(
  marked: readonly Region[],
  text: string,
  leaves: readonly Leaf[],
  added: AddedTokens,
): Region[] {
  const tokens = added.split(text).filter((piece) => piece.token !== null);
  const cutsToken = (start: number, end: number) =>
    tokens.some(
      (token) => (token.start < start && start < token.end) || (token.start < end && end < token.end),
    );
  let regions = [...marked];
  let from = 0;
  for (const [leaf, { text: whole, turn, is_reply }] of leaves.entries()) {
    const own = regions.filter((region) => region.leaf === leaf);
    const core = whole.trim();
    const is_done = own.length === 1 && own[0]!.end - own[0]!.start >= core.length;
    if (!is_done && core !== "" && !(is_reply && added.occursIn(core))) {
      const first = own[0] === undefined ? from : Math.max(from, own[0].start - core.length);
      let start = text.indexOf(core, first);
      while (start >= 0 && cutsToken(start, start + core.length)) start = text.indexOf(core, start + 1);
      const end = start + core.length;
      const is_free = (other: Region) => other.leaf === leaf || other.end <= start || other.start >= end;
      const holds_own = own.every((region) => start <= region.start && region.end <= end);
      if (start >= 0 && holds_own && regions.every(is_free)) {
        regions = [...regions.filter((region) => region.leaf !== leaf), { turn, leaf, start, end }];
      }
    }
    from = regions.findLast((region) => region.leaf === leaf)?.end ?? from;
  }
  return regions.sort((a, b) => a.start - b.start || a.end - b.end);
}

/**
 * A text that holds control tokens and was not found must not be in the rendering at all: breaking these tokens
 * must not change it.
 */
function checkControl(
  regions: readonly Region[],
  text: string,
  leaves: readonly Leaf[],
  rendered: (change: (leaf: Leaf, k: number) => string) => string,
  added: AddedTokens,
): void {
  const broken = leaves.map((leaf, k) =>
    regions.some((region) => region.leaf === k) ? leaf.text : breakControl(leaf.text, added),
  );
  if (broken.every((changed, k) => changed === leaves[k]!.text)) return;
  if (rendered((_, k) => broken[k]!) === text) return;
  throw new CapstanError("bad_request", {
    action: "encode a chat",
    need: "control tokens in a message that the chat template leaves as they are",
    found: show(leaves.find((leaf, k) => broken[k] !== leaf.text)!.text),
    mend: "Take the control tokens out of the message.",
  });
}

function breakControl(text: string, added: AddedTokens): string {
  let broken = "";
  for (const { start, end, token } of added.split(text)) {
    broken += token?.special ? `${text[start]}\ue000${text.slice(start + 1, end)}` : text.slice(start, end);
  }
  return broken;
}
