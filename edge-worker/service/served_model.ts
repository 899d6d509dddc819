import { CapstanError } from "../../models/index.ts";
import {
  type Axis,
  type Caps,
  checkFits,
  type FileInput,
  readAxis,
  readCaps,
} from "../../sdk/science/index.ts";
import type { Model } from "../../sdk/types.ts";
import type { ModelPolicy } from "../policy/policy.ts";
import { type ModelHolder, notLoaded } from "./model_holder.ts";

/** A model with what the policy says of it; the files are read once, with the policy. */
export class ServedModel {
  readonly name: string;
  readonly rules: ModelPolicy;
  readonly holder: ModelHolder;
  readonly axis: Axis | null;
  readonly caps: ReadonlyMap<string, Caps>;
  /** When it began to be served, in seconds of Unix time. */
  readonly created: number;
  #checked: Model | null = null;

  constructor(name: string, rules: ModelPolicy, holder: ModelHolder, files: PolicyFiles) {
    this.name = name;
    this.rules = rules;
    this.holder = holder;
    this.axis = files.axis;
    this.caps = files.caps;
    this.created = Math.floor(Date.now() / 1000);
  }

  /**
   * The model, loaded and fitting its axis and caps.
   *
   * @throws CapstanError `device_lost` where it does not load; `bad_file` for an axis or caps of another model
   */
  async open(): Promise<Model> {
    const model = await this.holder.open().catch((error: unknown) => {
      throw notLoaded(this.name, error);
    });
    if (this.#checked !== model) checkFiles(this.name, this.rules, model, this);
    this.#checked = model;
    return model;
  }
}

/** What a model's policy names: read, and not yet held against the model. */
export interface PolicyFiles {
  readonly axis: Axis | null;
  readonly caps: ReadonlyMap<string, Caps>;
}

/**
 * Holds the axis and every cap against their model.
 *
 * @throws CapstanError `bad_file` for those of another shape, `digest_mismatch` for those of another digest, unless the policy
 *   takes it
 */
export function checkFiles(
  name: string,
  rules: ModelPolicy,
  model: Parameters<typeof checkFits>[0],
  { axis, caps }: PolicyFiles,
): void {
  if (axis !== null) refuse(name, checkFits(model, axis, "axis"), "axis");
  for (const [cap, caps_of] of caps) {
    const warnings = checkFits(model, caps_of, `cap ${cap}`);
    if (rules.caps[cap]?.any_model !== true) refuse(name, warnings, `caps.${cap}`);
  }
}

function refuse(name: string, [warning]: readonly string[], field: string): void {
  if (warning === undefined) return;
  throw new CapstanError("digest_mismatch", {
    action: `serve ${name}`,
    need: `models.${name}.${field} of the model's own digest`,
    found: warning,
    fix: field === "axis" ? "Fit it on this model." : "any_model: true uses it all the same.",
  });
}

/** Finds a file that a policy names. */
export type FindFile = (name: string) => FileInput | Promise<FileInput>;

/** Reads a model's axis and caps. @throws CapstanError `not_found`, `bad_file`, `network` */
export async function readFiles(rules: ModelPolicy, find: FindFile): Promise<PolicyFiles> {
  const axis = rules.axis === undefined ? null : await readAxis(await find(rules.axis));
  const caps = new Map<string, Caps>();
  for (const [name, { file }] of Object.entries(rules.caps)) caps.set(name, await readCaps(await find(file)));
  return { axis, caps };
}

/** A file by its URL, or by its path below `folder`. */
export function fileFinder(resolve: (path: string) => string): FindFile {
  return async (name) => {
    if (!/^https?:\/\//.test(name)) return resolve(name);
    const response = await fetch(name).catch((cause: unknown) => {
      const parts = { action: `read ${name}`, need: "an answer", found: String(cause) };
      throw new CapstanError("network", parts, { cause });
    });
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    throw new CapstanError("network", {
      action: `read ${name}`,
      need: "the file",
      found: `status ${response.status}`,
    });
  };
}
