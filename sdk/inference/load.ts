import { itemAt } from "../../models/certain.ts";
import { abortedError, type Device, type DeviceModel, type Warn } from "../../models/index.ts";
import { resolveSource } from "../checkpoint/source/index.ts";
import * as rules from "../common/options.ts";
import { type Rules, readOptions } from "../common/options.ts";
import { memory } from "../platform/index.ts";
import { loadModelTokenizer, streamDecoder } from "../text/index.ts";
import type { FileSource, LoadOptions, Model, Tokenizer } from "../types.ts";
import { chooseContext, fitContext } from "./context_length.ts";
import { createDevice } from "./devices.ts";
import { chooseDtype } from "./dtype.ts";
import type { SchedulerLimits } from "./scheduler/limits.ts";
import { smallStep } from "./step_size.ts";

/**
 * Loads a decoder and makes it ready to run.
 *
 * @param source the embedded model's name (`capstan-tiny`), a Hugging Face folder, the URL of
 *   one, a hub model (`owner/name[@revision]`, fetched into Python's cache), or a file source
 * @throws CapstanError `not_found`, `bad_config`, `bad_weights`, `bad_file`, `unsupported`, `out_of_memory`,
 *   `network`, `access_denied`, `aborted`: nothing stays allocated
 * @example
 * const model = await load("capstan-tiny", { device: "auto" });
 */
export async function load(source: string | URL | FileSource, given: LoadOptions = {}): Promise<Model> {
  const options = readOptions("load a model", given, OPTIONS);
  return await loadOn(source, options, (warn) => createDevice(options, warn));
}

/** As `load`, on a device of the caller's making; the model disposes of it. */
export async function loadOn(
  source: string | URL | FileSource,
  options: LoadOptions,
  makeDevice: (warn: Warn) => Promise<Device>,
): Promise<Model> {
  const action = `load ${typeof source === "string" ? source : "a model"}`;
  if (options.signal?.aborted) throw abortedError(action, options.signal);
  const warnings = new Set<string>();
  const warn = (text: string) => void warnings.add(text);
  const code = begun(import("./model.ts"));
  const { id, files, tokenizer, opened, digest, n_ctx, defaults } = await openFiles(source, options, warn);
  // A worker, or a GPU's device, is opened for files that can be read; the tokenizer is read meanwhile.
  const device = await makeDevice(warn);
  try {
    const { decoder, program, weights } = opened;
    const { dtype, note } = chooseDtype(options.dtype ?? "auto", device.kind, program, weights);
    const device_model = await device.load(program, weights, {
      dtype,
      n_ctx,
      ropes: decoder.spec.ropes,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(options.on_progress === undefined ? {} : { on_progress: progressOf(options.on_progress) }),
    });
    const text = await tokenizer;
    const limits = {
      ...chooseLimits(device_model, n_ctx, memory().available),
      max_queue: options.max_queue ?? DEFAULT_MAX_QUEUE,
    };
    if (device.blocks_thread === true && options.worker !== false)
      limits.max_step_tokens = Math.min(limits.max_step_tokens, smallStep(program));
    const n_cached = limits.max_blocks * device_model.block_size;
    const { LoadedModel } = await code;
    return new LoadedModel({
      id,
      source: namedSource(source),
      asked_dtype: options.dtype ?? "auto",
      digest,
      decoder,
      defaults,
      device: describeDevice(device, device_model, note),
      device_model,
      tokenizer: text,
      streamDecoder: hasText(text) ? () => streamDecoder(text, { skip_special_tokens: true }) : () => null,
      files,
      limits: { ...limits, n_ctx: fitContext(n_ctx, options.n_ctx, n_cached, warn) },
      warnings: [...warnings],
      dispose: () => device.dispose(),
    });
  } catch (error) {
    await device.dispose();
    throw error;
  }
}

/** What a source holds, by its config and its weights' headers. */
export interface ModelFacts {
  id: string;
  digest: string;
  spec: Model["spec"];
}

/**
 * Looks at what `load` would load, without a device: config, headers of the weights, tokenizer. A hub model is fetched.
 *
 * @throws CapstanError as `load`
 */
export async function inspectModel(
  source: string,
  options: Pick<LoadOptions, "signal"> = {},
): Promise<ModelFacts> {
  const { id, digest, opened, tokenizer } = await openFiles(source, options, () => {});
  await tokenizer;
  return { id, digest, spec: opened.decoder.spec };
}

/** Reads what a model is: its config, its weights' headers, a digest of both; the tokenizer is read meanwhile. */
async function openFiles(
  source: string | URL | FileSource,
  { signal, on_progress, n_ctx: asked }: LoadOptions,
  warn: (text: string) => void,
) {
  const code = begun(import("../checkpoint/weights/index.ts"));
  const { id, files } = await resolveSource(source, {
    signal,
    on_progress: on_progress && ((done, total) => on_progress({ done, total, stage: "pull" })),
  });
  const tokenizer = begun(loadModelTokenizer(files));
  const { modelDigest, openDecoder, readModelConfig } = await code;
  const digesting = begun(modelDigest(files));
  const { decoder, config, defaults } = await readModelConfig(files, warn);
  const n_ctx = chooseContext(decoder, asked, warn);
  const [opened, digest] = await Promise.all([
    openDecoder(files, decoder, config, { signal, warn }),
    digesting,
  ]);
  return { id, files, tokenizer, opened, digest, n_ctx, defaults };
}

/** Work that is awaited later; its failure waits for that, too. */
function begun<T>(work: Promise<T>): Promise<T> {
  work.catch(() => {});
  return work;
}

/** A source by the text that names it; null where none does, or the text may hold a secret. */
function namedSource(source: string | URL | FileSource): string | null {
  const text = source instanceof URL ? source.href : source;
  if (typeof text !== "string" || (/^https?:/i.test(text) && text.includes("?"))) return null;
  return text;
}

/** What runs a model, with how it keeps the weights; `note` says where that was chosen for it. */
function describeDevice(
  { kind, description }: Device,
  { stored }: DeviceModel,
  note: string | null,
): Model["device"] {
  if (note !== null) return { kind, description: `${description}; ${note}`, dtype: itemAt(stored, 0) };
  if (stored.length === 1) return { kind, description, dtype: itemAt(stored, 0) };
  return { kind, description: `${description}; weights in ${stored.join(" and ")}`, dtype: "mixed" };
}

function hasText(tokenizer: Tokenizer): boolean {
  try {
    return tokenizer.size > 0;
  } catch {
    return false;
  }
}

const DEFAULT_MAX_QUEUE = 64;

/** The share of free memory the KV cache may take once the weights are loaded, and its bounds in bytes. */
const CACHE = { share: 0.25, least: 64 * 2 ** 20, most: 2 ** 30 };

/**
 * Limits of a scheduler. The cache grows as it is used: where memory turns out to hold less, the scheduler lowers them.
 */
export function chooseLimits(
  model: Pick<DeviceModel, "block_size" | "memory">,
  n_ctx: number,
  available: number,
): Omit<SchedulerLimits, "max_queue"> {
  const free = model.memory.in_system_memory ? available * CACHE.share : CACHE.most;
  const budget = Math.min(CACHE.most, Math.max(CACHE.least, free));
  const one_sequence = Math.ceil(n_ctx / model.block_size);
  return {
    n_ctx,
    max_blocks: Math.min(
      model.memory.max_blocks,
      Math.max(one_sequence, Math.floor(budget / model.memory.block_bytes)),
    ),
    max_step_tokens: 512,
    max_step_sequences: 64,
  };
}

function progressOf(report: NonNullable<LoadOptions["on_progress"]>): (done: number, total: number) => void {
  return (done, total) => report({ done, total, stage: "load" });
}

const OPTIONS: Rules<LoadOptions> = {
  device: rules.oneOf("auto", "wasm", "webgpu"),
  dtype: rules.oneOf("auto", "f32", "f16", "bf16", "q8", "q4"),
  n_ctx: rules.whole(1),
  threads: rules.whole(1),
  worker: rules.boolean,
  max_queue: rules.whole(0),
  signal: rules.signal,
  on_progress: rules.callback,
};
