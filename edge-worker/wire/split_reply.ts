/** Takes a reply apart as it streams: reasoning, text, and tool calls, as the families of templates write them. */

/** A stretch of a reply. */
export type ReplyPart =
  | { kind: "text" | "reasoning"; text: string }
  | { kind: "tool_call"; name: string; arguments: string };

/**
 * How tool calls are written. `hermes` (and Qwen): `<tool_call>{...}</tool_call>`. `mistral`: `[TOOL_CALLS][{...}, ...]`.
 * `llama`: the whole reply is `{"name", "parameters"}`, or several apart by `;`, perhaps behind `<|python_tag|>`.
 */
export type ToolStyle = "hermes" | "mistral" | "llama";

export interface SplitOptions {
  /** Whether `<think>...</think>` is looked for; `inside`: the prompt has opened it already. */
  reasoning: "none" | "looked for" | "inside";
  tools: ToolStyle | null;
}

const OPENING: Readonly<Record<ToolStyle, string>> = {
  hermes: "<tool_call>",
  mistral: "[TOOL_CALLS]",
  llama: "<|python_tag|>",
};
/** What ends a call; the others end with the reply. */
const CLOSING = "</tool_call>";
const THINK = { open: "<think>", close: "</think>" };

/** The style of a template's own tool calls. */
export function toolStyleOf(template: string): ToolStyle {
  if (template.includes(OPENING.mistral)) return "mistral";
  if (template.includes(OPENING.llama) || /ipython/i.test(template)) return "llama";
  return "hermes";
}

/** The text of the control token that begins tool calls: a reply's own text does not show it. */
export function openingOf(style: ToolStyle): string {
  return OPENING[style];
}

/** The automaton over a reply's text. What it cannot read as a call stays text, to the last character. */
export class ReplySplitter {
  readonly #options: SplitOptions;
  #mode: "start" | "text" | "opened" | "reasoning" | "after" | "call";
  #held = "";

  constructor(options: SplitOptions) {
    this.#options = options;
    this.#mode = options.reasoning === "inside" ? "opened" : "start";
  }

  /** Takes the next text; gives what is certain by now. */
  push(text: string): ReplyPart[] {
    this.#held += text;
    return this.#read(false);
  }

  /** The reply has ended. */
  flush(): ReplyPart[] {
    return this.#read(true);
  }

  #read(is_end: boolean): ReplyPart[] {
    const parts: ReplyPart[] = [];
    for (;;) {
      const before = `${this.#mode} ${this.#held.length}`;
      this.#step(parts, is_end);
      if (before === `${this.#mode} ${this.#held.length}`) return joined(parts);
    }
  }

  #step(parts: ReplyPart[], is_end: boolean): void {
    switch (this.#mode) {
      case "start":
        this.#start(is_end);
        return;
      case "opened": {
        // The line break behind the tag is the template's.
        if (this.#held === "" && !is_end) return;
        this.#held = this.#held.replace(/^\n/, "");
        this.#mode = "reasoning";
        return;
      }
      case "reasoning": {
        if (this.#upTo(THINK.close, "reasoning", parts, is_end)) this.#mode = "after";
        return;
      }
      case "after": {
        // Line breaks behind reasoning and calls belong to neither side.
        this.#held = this.#held.replace(/^\s+/, "");
        if (this.#held !== "") this.#mode = this.#isBareCall() ? "call" : "text";
        return;
      }
      case "text": {
        const { tools } = this.#options;
        if (tools === null) this.#give("text", this.#held.length, parts);
        else if (this.#upTo(OPENING[tools], "text", parts, is_end)) this.#mode = "call";
        return;
      }
      case "call":
        this.#call(parts, is_end);
        return;
    }
  }

  /** White space before the first other character is held until it is known what follows. */
  #start(is_end: boolean): void {
    const { reasoning, tools } = this.#options;
    const rest = this.#held.trimStart();
    if (reasoning === "looked for" && rest.startsWith(THINK.open)) {
      this.#held = rest.slice(THINK.open.length);
      this.#mode = "opened";
      return;
    }
    const may_think = reasoning === "looked for" && THINK.open.startsWith(rest);
    if (may_think && !is_end) return;
    if (rest === "" && tools === "llama" && !is_end) return;
    this.#mode = this.#isBareCall() ? "call" : "text";
  }

  #isBareCall(): boolean {
    return this.#options.tools === "llama" && this.#held.trimStart().startsWith("{");
  }

  /** Gives text up to a tag and takes the tag away; true where it was there. A tag's beginning is held. */
  #upTo(tag: string, kind: "text" | "reasoning", parts: ReplyPart[], is_end: boolean): boolean {
    const at = this.#held.indexOf(tag);
    if (at >= 0) {
      this.#give(kind, at, parts);
      this.#held = this.#held.slice(tag.length);
      return true;
    }
    this.#give(kind, this.#held.length - (is_end ? 0 : overlap(this.#held, tag)), parts);
    return false;
  }

  #give(kind: "text" | "reasoning", length: number, parts: ReplyPart[]): void {
    if (length > 0) parts.push({ kind, text: this.#held.slice(0, length) });
    this.#held = this.#held.slice(length);
  }

  #call(parts: ReplyPart[], is_end: boolean): void {
    const style = this.#options.tools;
    const end = style === "hermes" ? this.#held.indexOf(CLOSING) : -1;
    if (end < 0 && !is_end) return;
    const text = end < 0 ? this.#held : this.#held.slice(0, end);
    const calls = readCalls(text, style);
    if (calls.length > 0) {
      parts.push(...calls);
      this.#held = end < 0 ? "" : this.#held.slice(end + CLOSING.length);
      this.#mode = "after";
    } else {
      const shown = style === "hermes" ? OPENING.hermes : "";
      const length = end < 0 ? this.#held.length : end + CLOSING.length;
      const raw = shown + this.#held.slice(0, length);
      if (raw !== "") parts.push({ kind: "text", text: raw });
      this.#held = this.#held.slice(length);
      this.#mode = "text";
    }
  }
}

/** Neighbours of one kind as one. */
function joined(parts: readonly ReplyPart[]): ReplyPart[] {
  const made: ReplyPart[] = [];
  for (const part of parts) {
    const last = made.at(-1);
    if (last !== undefined && last.kind !== "tool_call" && part.kind === last.kind) last.text += part.text;
    else made.push({ ...part });
  }
  return made;
}

/** Characters at the end of `text` that may be the beginning of `tag`. */
function overlap(text: string, tag: string): number {
  for (let n = Math.min(tag.length - 1, text.length); n > 0; n--)
    if (tag.startsWith(text.slice(-n))) return n;
  return 0;
}

/** The calls in a text; none where any part of it is no call. */
function readCalls(text: string, style: ToolStyle | null): ReplyPart[] {
  const values = parsed(text.trim(), style);
  const calls = values.map(asCall);
  return calls.every((call) => call !== null) ? calls : [];
}

function parsed(text: string, style: ToolStyle | null): unknown[] {
  const whole = json(text);
  if (whole !== undefined) return Array.isArray(whole) ? whole : [whole];
  if (style === "llama") return text.split(/;\s*(?=\{)/).map(json);
  // Newer Mistral templates: name{arguments}.
  const [, name, args] = /^([\w.-]+)(?:\[ARGS\])?\s*(\{[\s\S]*\})$/.exec(text) ?? [];
  return [style === "mistral" && name !== undefined ? { name, arguments: json(args!) } : undefined];
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function asCall(value: unknown): (ReplyPart & { kind: "tool_call" }) | null {
  if (typeof value !== "object" || value === null) return null;
  const { name, arguments: args, parameters } = value as Record<string, unknown>;
  const given = args ?? parameters ?? {};
  if (typeof name !== "string" || name === "") return null;
  if (typeof given === "string") return { kind: "tool_call", name, arguments: given };
  return typeof given === "object" ? { kind: "tool_call", name, arguments: JSON.stringify(given) } : null;
}
