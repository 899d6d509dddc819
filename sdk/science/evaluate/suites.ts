import { CapstanError, show } from "../../../models/index.ts";
import { basename, fileKind, joinPath, listFolder, readText } from "../../platform/index.ts";
import type { Message, Model } from "../../types.ts";
import { parseJson, type Recipe, readModelText } from "../recipe/recipe.ts";
import { checkData } from "../schemas/index.ts";
import { type Check, checkCheck } from "./checks.ts";

/** One prompt of an evaluation and what its reply must hold. */
export interface SuiteItem {
  suite: string;
  /** Of its own in its suite. */
  id: string;
  group: string;
  messages: Message[];
  max_tokens: number;
  /** All of them must pass. */
  checks: Check[];
}

/** A line of a suite's file, as `docs/formats.md` describes it. */
export interface SuiteLine {
  id?: string | number;
  suite?: string;
  group?: string;
  messages: Message[];
  max_tokens?: number;
  check: Check | Check[];
  meta?: Record<string, unknown>;
}

/** A name in the model's capstan.json, a file, a folder of `<suite>.jsonl`, a line itself, or several of these. */
export type SuitesInput = string | readonly (string | SuiteLine)[];

/**
 * The prompts of an evaluation, in the order of their files and lines.
 *
 * @throws CapstanError `not_found`, `bad_file`, `bad_request`
 */
export async function readSuites(
  input: SuitesInput,
  model: Pick<Model, "files">,
  recipe: Recipe,
): Promise<SuiteItem[]> {
  const inputs = typeof input === "string" ? [input] : input;
  const found = new Map<string, { item: SuiteItem; where: string }>();
  for (const [i, one] of inputs.entries()) {
    const lines =
      typeof one === "string"
        ? await linesOf(one, model, recipe)
        : [{ value: one as unknown, where: `suites[${i}]`, suite: "suite", id: String(i + 1) }];
    for (const line of lines) {
      const item = await readItem(line);
      const key = JSON.stringify([item.suite, item.id]);
      const before = found.get(key);
      if (before !== undefined) throw doubled(line.where, item, before.where);
      found.set(key, { item, where: line.where });
    }
  }
  if (found.size > 0) return Array.from(found.values(), ({ item }) => item);
  const need = "suites: a name, a file, a folder, or items";
  throw new CapstanError("bad_request", { action: "evaluate", need, found: show(input) });
}

/** A value that may be an item, where it stands, and its names unless it says others. */
interface Line {
  value: unknown;
  where: string;
  suite: string;
  id: string;
}

async function linesOf(input: string, model: Pick<Model, "files">, recipe: Recipe): Promise<Line[]> {
  const splits = recipe.suites ?? {};
  const own = Object.hasOwn(splits, input) ? splits[input] : undefined;
  if (own !== undefined && model.files !== null)
    return linesOfText(await readModelText(model.files, own), own, input);
  const kind = await fileKind(input);
  if (kind === "file") return linesOfText(await readText(input), input, suiteName(input));
  if (kind === "folder") return await linesOfFolder(input);
  const names = Object.keys(splits);
  const known = names.length === 0 ? "none: its folder has no capstan.json with suites" : names.join(", ");
  const need = `a file or a folder of suites, or a name in the model's capstan.json (${known})`;
  const fix = "docs/formats.md says what a suite is.";
  throw new CapstanError("not_found", { action: "evaluate", need, found: show(input), fix });
}

async function linesOfFolder(folder: string): Promise<Line[]> {
  const files = (await listFolder(folder)).filter((name) => name.endsWith(".jsonl"));
  if (files.length === 0) {
    const parts = { action: `read ${folder}`, need: "at least one <suite>.jsonl", found: "none" };
    throw new CapstanError("bad_file", parts);
  }
  const lines: Line[] = [];
  for (const file of files) {
    const path = joinPath(folder, file);
    lines.push(...linesOfText(await readText(path), path, suiteName(file)));
  }
  return lines;
}

function suiteName(path: string): string {
  return basename(path).replace(/\.jsonl?$/, "") || "suite";
}

function linesOfText(text: string, name: string, suite: string): Line[] {
  const lines = text
    .split("\n")
    .map((line, i) => ({ line, where: `${name} line ${i + 1}`, id: String(i + 1) }))
    .filter(({ line }) => line.trim() !== "")
    .map(({ line, where, id }) => ({ value: parseJson(line, where), where, suite, id }));
  if (lines.length > 0) return lines;
  const parts = { action: `read ${name}`, need: "at least one item, JSON lines", found: "none" };
  throw new CapstanError("bad_file", parts);
}

async function readItem({ value, where, suite, id }: Line): Promise<SuiteItem> {
  const place = `${where}${nameOf(value)}`;
  checkData(value, "suite", place);
  const line = value as SuiteLine;
  const checks = Array.isArray(line.check) ? line.check : [line.check];
  for (const check of checks) await checkCheck(check, place);
  return {
    suite: line.suite ?? suite,
    id: String(line.id ?? id),
    group: line.group ?? "all",
    messages: line.messages,
    max_tokens: line.max_tokens ?? 64,
    checks,
  };
}

/** ` ("my-item")`, where the value has an id to show. */
function nameOf(value: unknown): string {
  const id = (value as { id?: unknown } | null)?.id;
  return typeof id === "string" || typeof id === "number" ? ` (${show(id)})` : "";
}

function doubled(where: string, item: SuiteItem, before: string): CapstanError {
  return new CapstanError("bad_file", {
    action: `read ${where}`,
    need: `an id of its own in suite ${show(item.suite)}`,
    found: `${show(item.id)}, which ${before} has`,
    fix: "Give one of them another id.",
  });
}
