import { CapstanError, show } from "../../../models/index.ts";
import type { TemplateArgs } from "../../types.ts";
import type { Recipe } from "../recipe/recipe.ts";

/** What a run is: everything that decides its responses, and what stands beside them. `manifest.json`. */
export interface Manifest {
  format: "capstan.run";
  format_version: 1;
  /** `source` and `dtype` are what was loaded, as a command would name them (absent: `auto`); read, not compared. */
  model: { id: string; digest: string; source?: string; dtype?: string };
  /** How the weights were stored on the device; mixing two in one run would mix two sets of numbers. */
  dtype: string;
  /** Where activations were read, in every layer. */
  site: "hook_resid_post";
  n_layers: number;
  d_model: number;
  /** Layers whose activations are kept, ascending. Absent: all. */
  layers?: number[];
  /** CRC-32 of the chat template's source; absent where an older version began the run. */
  template?: string;
  /** What `{model_name}` stands for in prompts; absent where an older version began the run. */
  model_name?: string;
  sampling: { temperature: number; top_p: number; max_tokens: number; samples: number };
  /** Arguments of the chat template beside the messages. */
  template_args: TemplateArgs;
  /** Each response's own seed is drawn from this one and its key. */
  seed: number;
  /** By name: the system prompts, and the group that plots colour by. `default` is the Assistant. */
  roles: Record<string, { group?: string; prompts: string[] }>;
  questions: { id: number | string; question: string }[];
  /** The roles' `eval_prompt`, for a judge that is asked later; read, not compared. */
  judge_prompts?: Record<string, string>;
  /** What the model's own recipe says of the steps that follow; read, not compared. */
  recipe: Pick<Recipe, "min_count" | "target_layer" | "cap">;
}

/** What a run must not change between its sessions. Roles may be added: responses do not depend on other roles. */
const FIXED = [
  "dtype",
  "n_layers",
  "d_model",
  "layers",
  "template",
  "model_name",
  "sampling",
  "template_args",
  "seed",
  "roles",
  "questions",
] as const satisfies readonly (keyof Manifest)[];

/** Fields that an older version did not write. */
const NEWER: readonly string[] = ["template", "model_name"];

/**
 * Checks that a run may be continued under a manifest.
 *
 * @throws CapstanError `digest_mismatch` for another model, `bad_request` for other settings: names the first
 */
export function checkContinues(found: Manifest, wanted: Manifest, name: string): void {
  const action = `continue ${name}`;
  const fix = "Give another folder, or the settings it was begun with.";
  if (found.model.digest !== wanted.model.digest) {
    const need = `the model it was begun with, ${found.model.id} (${found.model.digest})`;
    const parts = { action, need, found: `${wanted.model.id} (${wanted.model.digest})`, fix };
    throw new CapstanError("digest_mismatch", parts);
  }
  for (const field of FIXED) {
    if (NEWER.includes(field) && found[field] === undefined) continue;
    if (field === "model_name" && !namesModel(found)) continue;
    const given = field === "roles" ? rolesOf(wanted, found) : wanted[field];
    const difference = firstDifference(field, found[field], given);
    if (difference !== undefined) throw new CapstanError("bad_request", { action, ...difference, fix });
  }
}

/** The wanted roles that a run was begun with. */
function rolesOf(wanted: Manifest, found: Manifest): Manifest["roles"] {
  return Object.fromEntries(
    Object.entries(wanted.roles).filter(([role]) => Object.hasOwn(found.roles, role)),
  );
}

/** Whether a prompt names the model. */
function namesModel({ roles }: Manifest): boolean {
  return Object.values(roles).some(({ prompts }) => prompts.some((prompt) => prompt.includes(MODEL_NAME)));
}

/** What stands for the model's name in a prompt. */
export const MODEL_NAME = "{model_name}";

/** Layers whose activations a run keeps, ascending. */
export function keptLayers({ layers, n_layers }: Pick<Manifest, "layers" | "n_layers">): number[] {
  return layers ?? Array.from({ length: n_layers }, (_, layer) => layer);
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
  const fix =
    "Put back a copy of the file, or collect into another folder: without it nobody knows what the run is of.";
  const fail = (need: string, found: string, cause?: unknown) =>
    new CapstanError("bad_file", { action, need, found, fix }, { cause });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw fail("JSON", "text that is cut or damaged", cause);
  }
  if (!isObject(value) || value.format !== "capstan.run")
    throw fail('format "capstan.run"', show(isObject(value) ? (value.format ?? "none") : value));
  if (value.format_version !== 1) throw fail("format_version 1", show(value.format_version));
  const { model, n_layers, d_model, sampling, roles, questions } = value;
  const whole = isObject(model) && typeof model.digest === "string" && isObject(sampling) && isObject(roles);
  if (!whole || !isSize(n_layers) || !isSize(d_model) || !Array.isArray(questions)) {
    throw fail("model, n_layers, d_model, sampling, roles and questions", "one of them missing");
  }
  const { layers = [] } = value;
  const is_layer = (layer: unknown) => Number.isSafeInteger(layer) && (layer as number) < n_layers;
  if (!Array.isArray(layers) || !layers.every(is_layer)) throw fail("layers of the model", show(layers));
  return { ...(value as unknown as Manifest), recipe: isObject(value.recipe) ? value.recipe : {} };
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}
