import { allSites, CapstanError, type DecoderSpec, type Hook, type Site } from "../../models/index.ts";
import { type FileTensor, openSafetensors } from "../../sdk/checkpoint/safetensors/index.ts";
import type { FileSource } from "../../sdk/types.ts";
import type { CaseHook, CaseRun } from "./case.ts";

/** What the reference computed in one run. */
export interface Reference {
  tokens: Int32Array;
  n_prompt: number;
  /** Whether the tokens after the prompt are the greedy choice of the rows before them: not of one pass over a text whose rope changed while it grew. */
  is_written: boolean;
  n_layers: number;
  /** In the order of a forward pass, [n_tokens * d_model] after the site's hooks: every resid_post, and others. */
  sites: { site: Site; block: number; values: Float32Array }[];
  /** [n_tokens * d_vocab] */
  logits: Float32Array;
  hooks: Hook[];
}

/**
 * Reads the reference file of a run and checks that it fits the model.
 *
 * @throws CapstanError `not_found`, `bad_file` for a tensor that is missing, of another shape or dtype, or not finite
 */
export async function readReference(source: FileSource, run: CaseRun, spec: DecoderSpec): Promise<Reference> {
  const { tensors } = await openSafetensors(source, run.reference);
  const file = new ReferenceFile(run.reference, tensors);
  const tokens = await file.tokens(spec.d_vocab);
  if (run.n_prompt > tokens.length) {
    throw file.wrong(`n_prompt (${run.n_prompt}) tokens or more`, `tokens [${tokens.length}]`);
  }
  const sites = [];
  for (const site of allSites(spec)) {
    if (!site.endsWith(".hook_resid_post") && !tensors.has(site)) continue;
    const values = await file.floats(site, [tokens.length, spec.d_model]);
    sites.push({ site, block: Number(site.split(".")[1]), values });
  }
  const logits = await file.floats("logits", [tokens.length, spec.d_vocab]);
  const hooks = [];
  for (const hook of run.hooks) hooks.push(await buildHook(file, hook, spec.d_model));
  const is_written = run.passes.includes("stepwise");
  return { tokens, n_prompt: run.n_prompt, is_written, n_layers: spec.n_layers, sites, logits, hooks };
}

/** A hook of case.json with its vectors in its hands. */
async function buildHook(file: ReferenceFile, hook: CaseHook, d_model: number): Promise<Hook> {
  const { kind, positions } = hook;
  const site = hook.site as Site;
  const vector = await file.floats(hook.vector, [d_model]);
  switch (kind) {
    case "cap": {
      const { floor, ceiling } = hook;
      return {
        kind,
        site,
        vector,
        positions,
        ...(floor === undefined ? {} : { floor }),
        ...(ceiling === undefined ? {} : { ceiling }),
      };
    }
    case "add":
    case "ablate": {
      const { coefficient } = hook;
      return { kind, site, vector, positions, ...(coefficient === undefined ? {} : { coefficient }) };
    }
    case "mean_ablate":
      return { kind, site, vector, positions, mean: await file.floats(hook.mean ?? "", [d_model]) };
    default:
      return kind satisfies never;
  }
}

class ReferenceFile {
  readonly #name: string;
  readonly #tensors: ReadonlyMap<string, FileTensor>;

  constructor(name: string, tensors: ReadonlyMap<string, FileTensor>) {
    this.#name = name;
    this.#tensors = tensors;
  }

  /** A float32 tensor of exactly this shape, all of it finite. */
  async floats(name: string, shape: readonly number[]): Promise<Float32Array> {
    const tensor = this.#tensors.get(name);
    const need = `${name} F32 [${shape.join(", ")}]`;
    if (tensor === undefined) throw this.wrong(need, "no such tensor");
    if (tensor.dtype !== "F32" || tensor.shape.join() !== shape.join()) {
      throw this.wrong(need, `${tensor.dtype} [${tensor.shape.join(", ")}]`);
    }
    const values = await tensor.float32();
    const bad = values.findIndex((x) => !Number.isFinite(x));
    if (bad >= 0) throw this.wrong(`${name} of finite values`, `${values[bad]} at element ${bad}`);
    return values;
  }

  async tokens(d_vocab: number): Promise<Int32Array> {
    const tensor = this.#tensors.get("tokens");
    const need = "tokens I64 [n_tokens]";
    if (tensor === undefined) throw this.wrong(need, "no such tensor");
    if (tensor.dtype !== "I64" || tensor.shape.length !== 1 || tensor.shape[0] === 0) {
      throw this.wrong(need, `${tensor.dtype} [${tensor.shape.join(", ")}]`);
    }
    const bytes = new Uint8Array(await tensor.read(0, tensor.byte_length));
    const ids = Array.from(new BigInt64Array(bytes.buffer), Number);
    const bad = ids.find((id) => id < 0 || id >= d_vocab);
    if (bad !== undefined) throw this.wrong(`token ids below ${d_vocab}`, `${bad}`);
    return Int32Array.from(ids);
  }

  wrong(need: string, found: string): CapstanError {
    return new CapstanError("bad_file", {
      action: `read ${this.#name}`,
      need,
      found,
      fix: "The file may be of another case, or be cut short.",
    });
  }
}
