import type { DeviceHook, SiteId } from "./hooks.ts";
import type { Program, WeightSlot } from "./program.ts";
import type { SampleNumbers } from "./sample_numbers.ts";
import type { RopeSpec } from "./spec.ts";

/**
 * What a device owes the runtime. A device is not a tensor library: it takes a whole `Program`, its weights
 * and, each step, a ragged batch, and runs the program over it in one call. It knows no text, no model
 * family, no scheduling and no files.
 *
 * Ownership: what a device hands out as an id (blocks, hook sets, accumulators) the caller frees. After
 * `dispose` every call throws `device_lost`.
 */
export interface Device {
  readonly kind: "wasm" | "webgpu" | "truth";
  /** One line for people: what runs, on what, and why ("WASM SIMD, 1 thread, ..."). */
  readonly description: string;
  /** Weight types that `load` can store. */
  readonly dtypes: readonly StoredDtype[];
  /** Whether a step holds the calling thread until it is done: nothing else there has its turn. Default: false. */
  readonly blocks_thread?: boolean;
  /**
   * Streams every weight of the program in, tensor by tensor, and makes it ready to step.
   *
   * @throws CapstanError `bad_weights` (a value is NaN or infinite, or a read came short), `out_of_memory`,
   *   `aborted`, `unsupported` (a dtype)
   */
  load(program: Program, weights: WeightSource, options: DeviceLoadOptions): Promise<DeviceModel>;
  /** Frees everything, every model included. */
  dispose(): Promise<void>;
}

/** How weights lie in a safetensors file. */
export type FileDtype = "F32" | "F16" | "BF16";
/** How a device keeps matrices. Vectors (norms, biases) are always f32. */
export type StoredDtype = "f32" | "f16" | "bf16" | "q8" | "q4";

/** How a device loads a program. */
export interface DeviceLoadOptions {
  /** `auto` keeps each matrix as the file has it. */
  dtype: "auto" | StoredDtype;
  /** Positions the rope tables may be asked for. */
  n_ctx: number;
  ropes: readonly RopeSpec[];
  /** Ends the load with `aborted`. Default: none. */
  signal?: AbortSignal;
  /** Called after each tensor, with bytes of the files read so far and in all. Default: none. */
  on_progress?: (done: number, total: number) => void;
}

/** A program's weights, ready to store: no device knows how a checkpoint's files lie. */
export interface WeightSource {
  /**
   * The parts that a weight is made of, one below the other: rows in order, what the file has transposed put right,
   * scales applied. Together they have the weight's `count * rows * cols` numbers.
   *
   * @throws CapstanError `bad_weights` for a tensor that is not there, or is not as the program says
   */
  parts(slot: WeightSlot): WeightTensor[];
}

/** A part of a weight, readable by byte range. */
export interface WeightTensor {
  readonly name: string;
  readonly dtype: FileDtype;
  readonly shape: readonly number[];
  readonly byte_length: number;
  /**
   * Bytes [start, end) of its numbers, little-endian, row-major.
   *
   * @param into memory that may take them, at least as long: the result is then a view of it
   */
  read(start: number, end: number, into?: Uint8Array): Promise<Uint8Array>;
  /** Takes back an array that `read` gave, once nothing looks at it any more: a later read may use its memory. */
  release?(bytes: Uint8Array): void;
}

/** A KV block, by its number. */
export type BlockId = number;
/** A set of hooks that the device holds, by its number. */
export type HookSetId = number;
/** A sum of rows that the device keeps, by its number. */
export type AccumulatorId = number;

/** What a loaded model takes, in bytes, and what its device leaves for the cache. */
export interface DeviceMemory {
  weight_bytes: number;
  block_bytes: number;
  /** KV blocks that the device's limits leave space for beside the weights, whatever memory is free. */
  max_blocks: number;
  /** Whether it lies in the machine's main memory, or in a GPU's, of which WebGPU does not say how much is free. */
  in_system_memory: boolean;
}

/** A program with its weights on a device, and the key-value cache that its sequences share. */
export interface DeviceModel {
  /** Tokens in a KV block. */
  readonly block_size: number;
  /**
   * How the matrices are kept, each type once, that of most values first; those that a device keeps as it does its
   * vectors (routers, learned positions) do not count.
   */
  readonly stored: readonly StoredDtype[];
  /** Steps that may be under way at once: above 1, the next can be given before the last one's tokens are known. */
  readonly n_in_flight: number;
  readonly memory: DeviceMemory;
  /**
   * New blocks of the paged cache; contents undefined. An id is never 0, and never one that another block had before
   * it was freed.
   *
   * @throws CapstanError `out_of_memory`: none is allocated, and all else stays as it was
   */
  allocBlocks(count: number): Promise<BlockId[]>;
  freeBlocks(blocks: readonly BlockId[]): void;
  /** Copies a whole block's keys and values, all layers. */
  copyBlock(from: BlockId, to: BlockId): void;
  /** Uploads hooks once, to be named by any number of sequences. Applied in order at each site. */
  addHooks(hooks: readonly DeviceHook[]): HookSetId;
  freeHooks(id: HookSetId): void;
  /** A running sum of h at `sites`, kept on the device: [n_sites, d_model] in f64 and a count of tokens. */
  addAccumulator(sites: readonly SiteId[]): AccumulatorId;
  /** The mean so far, [n_sites * d_model], and the number of tokens in it. Reads asked for in one go may share a readback. */
  readAccumulator(id: AccumulatorId): Promise<{ mean: Float32Array; count: number }>;
  freeAccumulator(id: AccumulatorId): void;
  /**
   * Runs the program once over the batch. Entries are independent: an entry's results are those it would have
   * alone, whatever else is in the batch. Results come in the batch's order. Steps run in the order of their calls;
   * at most `n_in_flight` may be unsettled at once. Every other call takes effect where it stands between steps: what
   * an unsettled step names may be freed, and given out again to a later one.
   *
   * @throws CapstanError before anything runs: `bad_request` (no tokens, ids out of range, too few blocks or
   *   blocks not allocated, an id of hooks or accumulators that is not there, no lengths where ropes depend on
   *   them), `context_overflow` (past n_ctx)
   */
  step(batch: readonly StepEntry[]): Promise<StepResult[]>;
  dispose(): Promise<void>;
}

/** One sequence's part of a step: its next tokens, where they stand, and what it wants back. */
export interface StepEntry {
  /** At least one; ids below d_vocab. */
  tokens: Int32Array;
  /**
   * Not null: the only token is the one that this entry of the last step drew; what `tokens` says is not read. It
   * counts as the last of `sample.history`, part of the reply.
   */
  follows: number | null;
  /** Position of the first token. */
  position: number;
  /**
   * For each token the length of the forward call that feeds it (the position of the call's last token + 1): what ropes
   * that depend on length turn by (`ropeLengths`). Null where the model has no such rope.
   */
  rope_lengths: Int32Array | null;
  /** The sequence's KV block table: block k holds positions [k * block_size, (k + 1) * block_size). */
  blocks: Int32Array;
  /** 0 for none. */
  hooks: HookSetId;
  /** Whether the entry's last token is the last position of the caller's forward call (not a chunk's end). */
  ends_call: boolean;
  /** Sample a token after the last position. */
  sample: SampleParams | null;
  /** Logits to read back: [d_vocab] of the last position, or [n_tokens * d_vocab]. */
  logits: "none" | "last" | "all";
  /** Sites whose values are read back, each [n_tokens * d_model], after the hooks of the site. */
  captures: readonly SiteId[];
  /** Adds the tokens [start, end) of this entry (indices into `tokens`) to accumulators. */
  accumulate: readonly { id: AccumulatorId; start: number; end: number }[];
}

/**
 * How to draw a token from logits, in this order: penalties and bias, temperature, top-k, top-p, min-p, each over
 * what the one before it kept.
 * The draw depends only on these values, the logits and (seed, draw): counter-based, no state.
 */
export interface SampleParams extends SampleNumbers {
  /** Added to the logits of these ids. */
  logit_bias: readonly { id: number; bias: number }[];
  /** Tokens of the sequence so far, needed when a penalty is set. */
  history: Int32Array | null;
  /** 64 bits as two u32. */
  seed: readonly [low: number, high: number];
}

/** What a step gives back of one entry. */
export interface StepResult {
  /** Where the values ceased to be finite; then nothing else of the entry holds. */
  non_finite: "residual" | "logits" | null;
  /** The drawn id; -1 when none was asked for. */
  token: number;
  /** Natural log-probability of the drawn token, and the likeliest, under the model's own distribution. */
  logprobs: { token: number; top: { id: number; logprob: number }[] } | null;
  logits: Float32Array | null;
  /** In the order of `captures`. */
  captures: Float32Array[];
  /** [n_projections * n_tokens] row-major: one row for each `project` hook of the entry's set. */
  projections: Float32Array;
}
