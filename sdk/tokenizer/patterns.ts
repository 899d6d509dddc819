import { CapstanError, show } from "../../models/index.ts";

/**
 * Regular expressions come with a tokenizer.json from anywhere, and JavaScript's engine backtracks: some take time
 * that doubles with every character. Those of published tokenizers have neither repeated groups that hold choices or
 * repetitions of their own, nor more than three open repetitions in a row; whatever has is refused.
 */
const LONGEST = 4000;
const MOST_OPEN = 3;

/** Checks every `{ "Regex": ... }` of a part. Throws `tokenizer`. */
export function checkPatterns(part: unknown, depth = 0): void {
  if (typeof part !== "object" || part === null) return;
  if (depth > 50) throw refuse("parts of parts", "more than 50 deep");
  for (const [key, value] of Object.entries(part)) {
    if (key === "pattern" && !isPattern(value))
      throw refuse("a pattern of { String } or { Regex }", show(value));
    if (key === "Regex") checkPattern(String(value));
    else checkPatterns(value, depth + 1);
  }
}

/** The library warns of others and goes on without them. */
function isPattern(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { String: text, Regex: regex } = value as { String?: unknown; Regex?: unknown };
  return typeof (regex ?? text) === "string";
}

interface Group {
  /** Holds a choice or a repetition that may differ in length. */
  varies: boolean;
  /** Open repetitions (`*`, `+`, `{n,}`) since the last `|`. */
  open: number;
}

function checkPattern(source: string): void {
  if (source.length > LONGEST) throw refuse(`a pattern of at most ${LONGEST} characters`, `${source.length}`);
  const groups: Group[] = [{ varies: false, open: 0 }];
  // One token a turn: an escape, a class, a parenthesis, a bar, a quantifier, or a character.
  const token = /\\.|\[(?:\\.|[^\]\\])*\]|\(\??|\)|\||[*+?]|\{(\d+)(,?)(\d*)\}|[\s\S]/g;
  let closed: Group | undefined;
  for (const [text, least, comma, most] of source.matchAll(token)) {
    const group = groups.at(-1)!;
    const is_open = text === "*" || text === "+" || (comma === "," && most === "");
    const is_quantifier = is_open || text === "?" || least !== undefined;
    if (is_quantifier) {
      if (is_open && closed?.varies) throw refuse("no repeated groups with choices in them", show(source));
      if (Number(most || least || 0) > 1000) throw refuse("repetitions of at most 1000", show(text));
      if (is_open) group.open++;
      if (group.open > MOST_OPEN)
        throw refuse(`at most ${MOST_OPEN} open repetitions in a row`, show(source));
      if (is_open || text === "?" || comma === ",") group.varies = true;
    } else if (text.startsWith("(")) {
      groups.push({ varies: false, open: 0 });
    } else if (text === "|") {
      group.varies = true;
      group.open = 0;
    }
    closed = undefined;
    if (text === ")" && groups.length > 1) {
      closed = groups.pop()!;
      const outer = groups.at(-1)!;
      outer.varies ||= closed.varies;
      outer.open += closed.open;
    }
    if (groups.at(-1)!.open > MOST_OPEN) {
      throw refuse(`at most ${MOST_OPEN} open repetitions in a row`, show(source));
    }
  }
}

function refuse(need: string, found: string): CapstanError {
  const mend = "Token ids work without it.";
  return new CapstanError("tokenizer", { action: "read tokenizer.json", need, found, mend });
}
