import { CapstanError } from "../../../../models/index.ts";
import type { Message } from "../../../types.ts";
import { ChatTemplate } from "../../chat/template.ts";

/** A template with what Python made of it (oracle.py): a line of cases.jsonl, or of what Python is asked for. */
export interface TemplateCase {
  n: number;
  template: string;
  variables: Record<string, unknown>;
  /** What jinja2 renders. */
  text?: string;
  /** The name of Python's exception where it fails, and the line of the template that it names. */
  error?: string;
  line?: number | null;
}

export interface Verdict {
  is_same: boolean;
  /** Whether a fault names the line that Python names; null where Python names none. */
  is_same_line: boolean | null;
  got: string;
}

const NOON = new Date(2026, 2, 5, 12, 0, 0);

/** Renders a case here: text where Python has text, an error where it has one. */
export function judge({ template, variables, text, line = null }: TemplateCase): Verdict {
  try {
    const { messages = [], ...args } = variables;
    const got = new ChatTemplate(template, {}).render(messages as Message[], args, NOON);
    return { is_same: got === text, is_same_line: null, got };
  } catch (error) {
    if (!(error instanceof CapstanError)) throw error;
    const own_line = /\(line (\d+) of the template\)/.exec(error.message)?.[1];
    const is_same_line = line === null ? null : own_line === String(line);
    return { is_same: text === undefined, is_same_line, got: error.message };
  }
}

/** Every text of a case in letters that no template has, so that they can be kept apart from the template's own. */
export function inCyrillic(value: unknown): unknown {
  if (typeof value === "string")
    return value.replace(/\S/gu, (char) => String.fromCharCode(0x430 + (char.codePointAt(0)! % 32)));
  if (Array.isArray(value)) return value.map(inCyrillic);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inCyrillic(item)]));
}

/** Such letters, and what escapes make of them. */
const LETTERS = /[\u0400-\u04ff]|\\u04[0-9a-f]{2}|%D[01]%[89AB][0-9A-F]/gi;

/** Where a rendering has text of the request that it does not know as such. */
export function strayLetters({ template, variables }: TemplateCase): string[] {
  const { messages = [], ...args } = inCyrillic(variables) as Record<string, unknown>;
  try {
    const traced = new ChatTemplate(template, {}).trace(messages as Message[], args, NOON);
    const holds = (start: number, end: number) =>
      traced.runs.some((run) => run.start <= start && end <= run.end);
    return [...traced.value.matchAll(LETTERS)]
      .filter(({ index, 0: letter }) => !holds(index, index + letter.length))
      .map(({ index }) => traced.value.slice(Math.max(0, index - 20), index + 20));
  } catch (error) {
    if (error instanceof CapstanError) return [];
    throw error;
  }
}
