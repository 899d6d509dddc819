import { CapstanError, SITE_KINDS, show } from "../../models/index.ts";
import { isPlainName, readSourceJson } from "../../sdk/checkpoint/source/index.ts";
import type { FileSource } from "../../sdk/types.ts";
import type { Pass } from "./report.ts";

/** What case.json says (REFERENCE-CASE): a model's folder and the runs that were made with it. */
export interface Case {
  name: string;
  /** The context to load the model with, where its texts are longer than the model's own; else undefined. */
  n_ctx: number | undefined;
  runs: CaseRun[];
}

export interface CaseRun {
  name: string;
  /** The safetensors file that holds what the reference computed. */
  reference: string;
  /** The first tokens of the reference are its prompt; the rest is its greedy continuation. */
  n_prompt: number;
  /** The passes that the reference stands for: both, but where a rope changes while a text grows. */
  passes: readonly Pass[];
  hooks: CaseHook[];
}

/** A hook of a run; its vectors are names of tensors in the reference file. */
export interface CaseHook {
  kind: "cap" | "add" | "ablate" | "mean_ablate";
  site: string;
  vector: string;
  mean?: string;
  floor?: number;
  ceiling?: number;
  coefficient?: number;
  positions: "all" | "last";
}

const KINDS = ["cap", "add", "ablate", "mean_ablate"] as const;
const POSITIONS = ["all", "last"] as const;
const PASSES = ["prefill", "stepwise"] as const;

/**
 * Reads case.json.
 *
 * @param label what to call the case in an error
 * @throws CapstanError `not_found` where there is none, `bad_file` naming the field that is wrong
 */
export async function readCase(source: FileSource, label: string): Promise<Case> {
  const raw = await readSourceJson(source, "case.json");
  if (raw === undefined) {
    throw new CapstanError("not_found", {
      action: `read ${label}`,
      need: "case.json",
      found: "no such file",
      fix: "Give the folder of a case, such as conformance/reference/llama-tied.",
    });
  }
  const name = text(raw, "name", "case.json");
  const runs = list(raw, "runs", "case.json").map((run, i) => readRun(run, `case.json runs[${i}]`));
  if (runs.length === 0) throw wrong("case.json", "runs with a run in it", "[]");
  return { name, n_ctx: raw.n_ctx === undefined ? undefined : count(raw, "n_ctx", "case.json"), runs };
}

function readRun(value: unknown, where: string): CaseRun {
  const run = object(value, where);
  const reference = text(run, "reference", where);
  if (!isPlainName(reference)) throw wrong(where, "reference as a file of the folder", show(reference));
  const n_prompt = count(run, "n_prompt", where);
  const hooks = list(run, "hooks", where).map((hook, i) => readHook(hook, `${where} hooks[${i}]`));
  return { name: text(run, "name", where), reference, n_prompt, passes: readPasses(run, where), hooks };
}

function readPasses(run: Record<string, unknown>, where: string): readonly Pass[] {
  if (run.passes === undefined) return PASSES;
  const asked = list(run, "passes", where);
  const passes = PASSES.filter((pass) => asked.includes(pass));
  if (passes.length > 0 && passes.length === asked.length) return passes;
  throw wrong(where, `passes of ${PASSES.join(" and ")}`, show(run.passes));
}

function readHook(value: unknown, where: string): CaseHook {
  const hook = object(value, where);
  const kind = KINDS.find((known) => known === hook.kind);
  if (kind === undefined) throw wrong(where, `kind ${KINDS.join(" or ")}`, show(hook.kind));
  const site = text(hook, "site", where);
  if (!SITE_KINDS.some((known) => site.endsWith(`.${known}`))) throw wrong(where, "a known site", show(site));
  const positions = POSITIONS.find((known) => known === (hook.positions ?? "all"));
  if (positions === undefined)
    throw wrong(where, `positions ${POSITIONS.join(" or ")}`, show(hook.positions));
  const read: CaseHook = { kind, site, positions, vector: text(hook, "vector", where) };
  if (kind === "mean_ablate") read.mean = text(hook, "mean", where);
  for (const name of ["floor", "ceiling", "coefficient"] as const) {
    const number = hook[name];
    if (number === undefined || number === null) continue;
    if (typeof number !== "number") throw wrong(where, `${name} as a number`, show(number));
    read[name] = number;
  }
  return read;
}

function object(value: unknown, where: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw wrong(where, "an object", show(value));
}

function text(from: Record<string, unknown>, name: string, where: string): string {
  const value = from[name];
  if (typeof value === "string" && value !== "") return value;
  throw wrong(where, `${name} as text`, show(value));
}

function count(from: Record<string, unknown>, name: string, where: string): number {
  const value = from[name];
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 1) return value;
  throw wrong(where, `${name}, a whole number from 1`, show(value));
}

function list(from: Record<string, unknown>, name: string, where: string): unknown[] {
  const value = from[name];
  if (Array.isArray(value)) return value;
  throw wrong(where, `${name} as a list`, show(value));
}

function wrong(where: string, need: string, found: string): CapstanError {
  return new CapstanError("bad_file", { action: `read ${where}`, need, found });
}
