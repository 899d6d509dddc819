import { CapstanError, show } from "../../models/index.ts";
import { fileKind, readText } from "../platform/index.ts";
import type { Message, Model } from "../types.ts";
import { type Check, readCheck } from "./checks.ts";
import { parseJsonLines, type Recipe, readModelText } from "./recipe.ts";

export const SUITES = ["jailbreak", "capability", "refusal"] as const;
export type SuiteName = (typeof SUITES)[number];

/** One prompt of an evaluation and what its reply must hold. */
export interface Case {
  id: string;
  suite: SuiteName;
  group: string;
  messages: Message[];
  max_tokens: number;
  check: Check;
}

/**
 * The prompts of an evaluation: a split that the recipe names (`dev`, `test`), else a file of JSON lines.
 *
 * @throws CapstanError `not_found`, `bad_file`
 */
export async function readCases(input: string, model: Pick<Model, "files">, recipe: Recipe): Promise<Case[]> {
  const splits = recipe.suites ?? {};
  const own = Object.hasOwn(splits, input) && model.files !== null ? splits[input] : undefined;
  if (own === undefined && (await fileKind(input)) !== "file") {
    const names = Object.keys(splits);
    const known =
      names.length === 0 ? "none, for its folder has no capstan.json with suites" : names.join(", ");
    const need = `a file of prompts, or a split of the model (${known})`;
    throw new CapstanError("not_found", { action: "evaluate", need, found: show(input) });
  }
  const text = own === undefined ? await readText(input) : await readModelText(model.files!, own);
  const name = own ?? input;
  const cases = parseJsonLines(text, name).map((value, index) =>
    readCase(value, `${name} prompt ${index + 1}`),
  );
  if (cases.length > 0) return cases;
  throw new CapstanError("bad_file", { action: `read ${name}`, need: "at least one prompt", found: "none" });
}

function readCase(value: unknown, where: string): Case {
  const { id, suite, group, messages, max_tokens, check } = (value ?? {}) as Partial<Case>;
  const fail = (need: string, found: unknown) =>
    new CapstanError("bad_file", { action: `read ${where}`, need, found: show(found) });
  if (!SUITES.includes(suite as SuiteName)) throw fail(`a suite (${SUITES.join(", ")})`, suite);
  const chat = checkMessages(messages, where);
  const limit = max_tokens ?? 64;
  if (!Number.isSafeInteger(limit) || limit < 1) throw fail("max_tokens above 0", max_tokens);
  return {
    id: String(id ?? where),
    suite: suite!,
    group: String(group ?? "all"),
    messages: chat,
    max_tokens: limit,
    check: readCheck(check, where),
  };
}

/** Reads messages. Throws `bad_file`. */
export function checkMessages(value: unknown, where: string): Message[] {
  const isMessage = (message: Partial<Message> | null) =>
    typeof message?.role === "string" && typeof message.content === "string";
  if (Array.isArray(value) && value.length > 0 && value.every(isMessage)) return value;
  const need = "messages [{ role, content }, ...]";
  throw new CapstanError("bad_file", { action: `read ${where}`, need, found: show(value) });
}
