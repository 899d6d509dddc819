import { CapstanError, show } from "../../../models/index.ts";
import { readSourceJson, readSourceText } from "../../checkpoint/source/read.ts";
import type { FileSource, Model } from "../../types.ts";
import type { LayerRange } from "../layers.ts";

/**
 * How a model is to be collected, fitted, capped and evaluated: `capstan.json` beside its weights. Any folder
 * may carry one; every field may be absent. Paths are within the folder.
 */
export interface Recipe {
  /** Folder of `<role>.json` in the published format. */
  roles?: string;
  /** Names of the roles in that folder; by default those of the judge's that it holds, asked for one by one. */
  role_names?: string[];
  /** JSON lines `{ id, question }`. */
  questions?: string;
  /** A rule judge. */
  judge?: string;
  suites?: Record<string, string>;
  drift?: string;
  demo?: string;
  collect?: {
    temperature?: number;
    top_p?: number;
    max_tokens?: number;
    samples?: number;
    seed?: number;
    min_count?: number;
    questions_per_instruction?: number;
  };
  min_count?: number;
  target_layer?: number;
  cap?: { layers: LayerRange; percentile: number };
}

/**
 * The model's recipe; empty when its folder carries none.
 *
 * @throws CapstanError `bad_file` where it is not what `docs/formats.md` says
 * @example
 * const { target_layer, cap } = await readRecipe(model);
 */
export async function readRecipe(model: Pick<Model, "files">): Promise<Recipe> {
  if (model.files === null) return {};
  const recipe = await readSourceJson(model.files, "capstan.json");
  if (recipe === undefined) return {};
  const { checkData } = await import("../schemas/index.ts");
  checkData(recipe, "capstan", "capstan.json");
  return recipe;
}

/** A whole file of a source as text. Throws `not_found`, and `bad_file` when it is no text. */
export async function readModelText(files: FileSource, name: string): Promise<string> {
  const text = await readSourceText(files, name);
  if (text !== undefined) return text;
  const parts = { action: `read ${name}`, need: "the file in the model's folder", found: "none" };
  throw new CapstanError("not_found", parts);
}

export async function readJson(files: FileSource, name: string): Promise<unknown> {
  return parseJson(await readModelText(files, name), name);
}

/** JSON of a file by its name. Throws `bad_file`. */
export function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const parts = { action: `read ${name}`, need: "JSON", found: show(text.slice(0, 40)) };
    throw new CapstanError("bad_file", parts, { cause });
  }
}

/** JSON lines of a file; blank lines are skipped. Throws `bad_file` with the line's number. */
export function parseJsonLines(text: string, name: string): unknown[] {
  return parsedLines(text, name).map(({ value }) => value);
}

/** The same, each with the place that an error of it names: `questions.jsonl line 3`. */
export function parsedLines(text: string, name: string): { value: unknown; where: string }[] {
  return text
    .split("\n")
    .map((line, index) => ({ line, where: `${name} line ${index + 1}` }))
    .filter(({ line }) => line.trim() !== "")
    .map(({ line, where }) => ({ value: parseJson(line, where), where }));
}
