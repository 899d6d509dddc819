import {
  abortedError,
  buildProgram,
  CapstanError,
  type Device,
  type DeviceModel,
  show,
  tensorSpecs,
} from "../models/index.ts";
import { createDevice } from "./devices.ts";
import { LoadedModel } from "./model.ts";
import { memory } from "./platform/index.ts";
import type { SchedulerLimits } from "./scheduler/scheduler.ts";
import { resolveSource } from "./source/index.ts";
import { loadModelTokenizer, streamDecoder } from "./tokenizer/index.ts";
import type { FileSource, LoadOptions, Model, Tokenizer } from "./types.ts";
import { modelDigest, openWeights, readModelConfig } from "./weights/index.ts";

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
export async function load(source: string | FileSource, options: LoadOptions = {}): Promise<Model> {
  checkOptions(options);
  return await loadOn(source, options, () => createDevice(options));
}

/** As `load`, on a device of the caller's making; the model disposes of it. */
export async function loadOn(
  source: string | FileSource,
  options: LoadOptions,
  makeDevice: () => Promise<Device>,
): Promise<Model> {
  const action = `load ${typeof source === "string" ? source : "a model"}`;
  if (options.signal?.aborted) throw abortedError(action, options.signal);
  const { on_progress } = options;
  const { id, files } = await resolveSource(source, {
    signal: options.signal,
    on_progress: on_progress && ((done, total) => on_progress({ done, total, stage: "pull" })),
  });
  const { decoder, config, defaults } = await readModelConfig(files, options.n_ctx);
  const program = buildProgram(decoder);
  const [weights, digest, tokenizer] = await Promise.all([
    openWeights(files, tensorSpecs(program), config),
    modelDigest(files),
    loadModelTokenizer(files),
  ]);
  const device = await makeDevice();
  try {
    const n_ctx = Math.min(options.n_ctx ?? decoder.spec.n_ctx, decoder.spec.n_ctx);
    const dtype = options.dtype ?? "auto";
    const device_model = await device.load(program, weights, {
      dtype,
      n_ctx,
      ropes: decoder.spec.ropes,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(options.on_progress === undefined ? {} : { on_progress: progressOf(options.on_progress) }),
    });
    return new LoadedModel({
      id,
      digest,
      decoder,
      defaults,
      device: { kind: device.kind, description: device.description, dtype },
      device_model,
      tokenizer,
      streamDecoder: hasText(tokenizer)
        ? () => streamDecoder(tokenizer, { skip_special_tokens: true })
        : () => null,
      files,
      limits: chooseLimits(device_model, n_ctx, memory().available),
      dispose: () => device.dispose(),
    });
  } catch (error) {
    await device.dispose();
    throw error;
  }
}

function hasText(tokenizer: Tokenizer): boolean {
  try {
    return tokenizer.size > 0;
  } catch {
    return false;
  }
}

/** The share of free memory the KV cache may take once the weights are loaded, and its bounds in bytes. */
const CACHE = { share: 0.25, least: 64 * 2 ** 20, most: 2 ** 30 };

/**
 * Limits of a scheduler. The cache grows as it is used: where memory turns out to hold less, the scheduler lowers them.
 */
export function chooseLimits(
  model: Pick<DeviceModel, "block_size" | "memory">,
  n_ctx: number,
  available: number,
): SchedulerLimits {
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

function checkOptions(options: LoadOptions): void {
  const known = {
    device: ["auto", "wasm", "webgpu"],
    dtype: ["auto", "f32", "f16", "q8", "q4"],
  } as const;
  for (const [name, values] of Object.entries(known)) {
    const value = options[name as keyof typeof known];
    if (value !== undefined && !(values as readonly string[]).includes(value)) {
      throw wrongOption(name, values.map(show).join(" or "), value);
    }
  }
  for (const name of ["n_ctx", "threads"] as const) {
    const value = options[name];
    if (value !== undefined && (!Number.isInteger(value) || value < 1))
      throw wrongOption(name, "a whole number from 1", value);
  }
}

function wrongOption(name: string, need: string, found: unknown): CapstanError {
  return new CapstanError("bad_request", {
    action: "load a model",
    need: `${name} to be ${need}`,
    found: show(found),
  });
}
