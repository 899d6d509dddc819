import { CapstanError, show } from "../../models/index.ts";
import type { Recipe } from "../science/recipe.ts";
import type { TemplateArgs } from "../types.ts";

/** What a run is: everything that decides its responses, and what stands beside them. `manifest.json`. */
export interface Manifest {
  format: "capstan.run";
  format_version: 1;
  model: { id: string; digest: string };
  /** How the weights were stored on the device; mixing two in one run would mix two sets of numbers. */
  dtype: string;
  /** Where activations were read, in every layer. */
  site: "hook_resid_post";
  n_layers: number;
  d_model: number;
  sampling: { temperature: number; top_p: number; max_tokens: number; samples: number };
  /** Arguments of the chat template beside the messages. */
  template_args: TemplateArgs;
  /** Each response's own seed is drawn from this one and its key. */
  seed: number;
  /** By name: the system prompts, and the group that plots colour by. `default` is the Assistant. */
  roles: Record<string, { group?: string; prompts: string[] }>;
  questions: { id: number | string; question: string }[];
  /** What the model's own recipe says of the steps that follow; read, not compared. */
  recipe: Pick<Recipe, "min_count" | "target_layer" | "cap">;
}

/** What a run must not change between its sessions, and how the error names it. */
const FIXED = {
  model: "model",
  dtype: "dtype",
  n_layers: "n_layers",
  d_model: "d_model",
  sampling: "sampling",
  template_args: "template_args",
  seed: "seed",
  roles: "roles",
  questions: "questions",
} as const satisfies Partial<Record<keyof Manifest, string>>;

/**
 * Checks that a run may be continued under a manifest.
 *
 * @throws CapstanError `digest_mismatch` for another model, `bad_request` for other settings: names the first
 */
export function checkContinues(found: Manifest, wanted: Manifest, name: string): void {
  const action = `continue ${name}`;
  const mend = "Give another folder, or the settings it was begun with.";
  if (found.model.digest !== wanted.model.digest) {
    const need = `the model it was begun with, ${found.model.id} (${found.model.digest})`;
    const parts = { action, need, found: `${wanted.model.id} (${wanted.model.digest})`, mend };
    throw new CapstanError("digest_mismatch", parts);
  }
  for (const field of Object.keys(FIXED) as (keyof typeof FIXED)[]) {
    if (field === "model") continue;
    const difference = firstDifference(field, found[field], wanted[field]);
    if (difference !== undefined) throw new CapstanError("bad_request", { action, ...difference, mend });
  }
}

/** The first place where two JSON values differ, as an error says it. */
function firstDifference(
  path: string,
  found: unknown,
  wanted: unknown,
): { need: string; found: string } | undefined {
  if (JSON.stringify(found) === JSON.stringify(wanted)) return undefined;
  if (isObject(found) && isObject(wanted)) {
    for (const key of new Set([...Object.keys(found), ...Object.keys(wanted)])) {
      const inner = firstDifference(`${path}.${key}`, found[key], wanted[key]);
      if (inner !== undefined) return inner;
    }
    return undefined;
  }
  return { need: `${path} ${show(found ?? "absent")}`, found: show(wanted ?? "absent") };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** Reads `manifest.json`. Throws `bad_file` when it is not one. */
export function parseManifest(bytes: Uint8Array, name: string): Manifest {
  const action = `read manifest.json of ${name}`;
  const fail = (need: string, found: string, cause?: unknown) =>
    new CapstanError("bad_file", { action, need, found }, { cause });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw fail("JSON", "text that is not", cause);
  }
  if (!isObject(value) || value.format !== "capstan.run")
    throw fail('format "capstan.run"', show(isObject(value) ? (value.format ?? "none") : value));
  if (value.format_version !== 1) throw fail("format_version 1", show(value.format_version));
  const { model, n_layers, d_model, sampling, roles, questions } = value;
  const whole = isObject(model) && typeof model.digest === "string" && isObject(sampling) && isObject(roles);
  if (!whole || !isSize(n_layers) || !isSize(d_model) || !Array.isArray(questions)) {
    throw fail("model, n_layers, d_model, sampling, roles and questions", "one of them missing");
  }
  return { ...(value as unknown as Manifest), recipe: isObject(value.recipe) ? value.recipe : {} };
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}
