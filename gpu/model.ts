import { itemAt, present } from "../models/certain.ts";
import { type BatchLimits, checkBatch, checkSites } from "../models/check_batch.ts";
import type {
  AccumulatorId,
  BlockId,
  DeviceLoadOptions,
  DeviceMemory,
  DeviceModel,
  HookSetId,
  StepEntry,
  StepResult,
} from "../models/device.ts";
import { CapstanError } from "../models/errors.ts";
import { type DeviceHook, SITE_KINDS, type SiteId } from "../models/hooks.ts";
import { type Program, programSites } from "../models/program.ts";
import { Accumulators } from "./accumulators.ts";
import { type PackedBatch, packBatch } from "./batch.ts";
import { Buffers } from "./buffers.ts";
import { BLOCK_SIZE, Cache } from "./cache.ts";
import type { Gpu } from "./context.ts";
import { HookStore } from "./hooks.ts";
import { prefillTile } from "./ops/attention/index.ts";
import { planStages, type Stage } from "./plan.ts";
import { type StageTime, timeStages } from "./profile.ts";
import { Readback, type ReadRange } from "./readback.ts";
import type { Resources } from "./resources.ts";
import { DRAWN_SLOTS, readResults } from "./results.ts";
import { Runner } from "./runner.ts";
import { cutBatch, joinSubBatches, type SubBatch, type SubBatchLimits } from "./sub_batches.ts";
import { loadWeights, type MatrixStorage, type Weights } from "./weights/load.ts";
import type { StepSizes } from "./work.ts";

/** Steps that may be under way at once: while one runs, the next is encoded. */
const N_IN_FLIGHT = 2;

/** A loaded model, with what only this device has. */
export interface WebGpuModel extends DeviceModel {
  /**
   * Runs a step with a pass for each stage and returns how long each took, in the order they ran. Results are
   * dropped. Keys and values are written as by a step; accumulators must not be named.
   *
   * @throws CapstanError `unsupported` where the adapter has no timestamps, and what `step` throws
   */
  profile(batch: readonly StepEntry[]): Promise<StageTime[]>;
}

/** A loaded model: its weights, cache and stores, and the runner that steps it. */
export class GpuModel implements WebGpuModel {
  readonly block_size = BLOCK_SIZE;
  readonly n_in_flight = N_IN_FLIGHT;
  readonly #gpu: Gpu;
  readonly #program: Program;
  readonly #batch_limits: BatchLimits;
  readonly #sub_batch_limits: SubBatchLimits;
  readonly #weights: Weights;
  readonly #readback: Readback;
  readonly #resources: Resources;
  readonly #runner: Runner;
  readonly #tile: number;
  readonly #routes_per_row: number;
  readonly #on_dispose: () => void;
  /** Places of the last step's batch that drew a token, and which half of the slots they are in. */
  #drew: ReadonlySet<number> = new Set();
  #half = 0;
  #disposed = false;

  private constructor(made: Made, on_dispose: () => void) {
    this.#gpu = made.gpu;
    this.#program = made.program;
    this.#weights = made.weights;
    this.#readback = made.readback;
    this.#resources = made.resources;
    this.#runner = made.runner;
    this.#tile = made.tile;
    const routed = made.program.ops.map((op) => (op.op === "router" ? op.top_k : 0));
    this.#routes_per_row = Math.max(0, ...routed);
    this.#on_dispose = on_dispose;
    const { cache, hooks, accumulators, buffers } = made.resources;
    this.#batch_limits = {
      d_vocab: made.program.d_vocab,
      n_ctx: made.n_ctx,
      block_size: BLOCK_SIZE,
      by_length: buffers.ropes_by_length.length > 0,
      sites: new Set(programSites(made.program)),
      hasBlock: (id) => cache.has(id),
      hasHooks: (id) => hooks.get(id) !== undefined,
      hasAccumulator: (id) => accumulators.get(id) !== undefined,
      drew: (entry) => this.#drew.has(entry),
    };
    const { most } = buffers;
    // Half the results are for what is not counted by rows: flags, tokens, projections.
    const results = Math.floor(most.results / 2);
    this.#sub_batch_limits = { ...most, results, d_model: made.program.d_model };
  }

  static async load(
    gpu: Gpu,
    program: Program,
    source: Parameters<typeof loadWeights>[3],
    options: DeviceLoadOptions,
    on_dispose: () => void,
  ): Promise<GpuModel> {
    const stages = planStages(program);
    const readback = new Readback(gpu);
    const weights = await loadWeights(gpu, readback, program, source, storageOf(stages), options).catch(
      (error: unknown) => {
        readback.dispose();
        throw error;
      },
    );
    let resources: Resources | undefined;
    try {
      resources = createResources(gpu, readback, program, stages, options);
      const runner = await Runner.create(gpu, program, stages, resources, weights);
      await gpu.settled();
      const tile = tileOf(stages, program);
      const { n_ctx } = options;
      return new GpuModel({ gpu, program, n_ctx, weights, readback, resources, runner, tile }, on_dispose);
    } catch (error) {
      if (resources !== undefined) disposeResources(resources);
      weights.dispose();
      readback.dispose();
      throw error;
    }
  }

  get stored(): DeviceModel["stored"] {
    return this.#weights.stored;
  }

  get memory(): DeviceMemory {
    const { block_bytes, most } = this.#resources.cache;
    const in_system_memory = this.#gpu.adapter.software;
    return { weight_bytes: this.#weights.bytes, block_bytes, max_blocks: most, in_system_memory };
  }

  async allocBlocks(count: number): Promise<BlockId[]> {
    this.#alive("allocate KV blocks");
    return this.#resources.cache.alloc(count);
  }

  freeBlocks(blocks: readonly BlockId[]): void {
    this.#alive("free KV blocks");
    this.#resources.cache.free(blocks);
  }

  copyBlock(from: BlockId, to: BlockId): void {
    this.#alive("copy a KV block");
    this.#resources.cache.copy(from, to);
  }

  addHooks(hooks: readonly DeviceHook[]): HookSetId {
    this.#alive("use hooks");
    checkSites(
      hooks.map(({ site }) => site),
      this.#batch_limits.sites,
      "use hooks",
    );
    return this.#resources.hooks.add(hooks);
  }

  freeHooks(id: HookSetId): void {
    this.#alive("free hooks");
    this.#resources.hooks.free(id);
  }

  addAccumulator(sites: readonly SiteId[]): AccumulatorId {
    this.#alive("add an accumulator");
    checkSites(sites, this.#batch_limits.sites, "add an accumulator");
    return this.#resources.accumulators.add(sites);
  }

  async readAccumulator(id: AccumulatorId): Promise<{ mean: Float32Array; count: number }> {
    this.#alive("read an accumulator");
    return this.#resources.accumulators.read(id);
  }

  freeAccumulator(id: AccumulatorId): void {
    this.#alive("free an accumulator");
    this.#resources.accumulators.free(id);
  }

  async step(batch: readonly StepEntry[]): Promise<StepResult[]> {
    this.#alive("run a step");
    const sub_batches = this.#cut(batch);
    const drawn_from = this.#half * DRAWN_SLOTS;
    const drawn_to = (1 - this.#half) * DRAWN_SLOTS;
    // All of it before anything changes: what cannot be packed is refused.
    const packed = sub_batches.map((sub_batch) => this.#pack(sub_batch, drawn_from, drawn_to));
    this.#half = 1 - this.#half;
    this.#drew = new Set(batch.flatMap(({ sample }, i) => (sample === null ? [] : [i])));
    for (const { accumulate } of batch) {
      for (const { id, start, end } of accumulate)
        present(this.#resources.accumulators.get(id), "an accumulator").count += end - start;
    }
    const results = await Promise.all(packed.map((sub_batch) => this.#run(sub_batch)));
    await this.#gpu.settled();
    return joinSubBatches(batch, sub_batches, results);
  }

  async profile(batch: readonly StepEntry[]): Promise<StageTime[]> {
    this.#alive("profile a step");
    const times: StageTime[] = [];
    for (const sub_batch of this.#cut(batch)) {
      // What it draws goes where nobody looks any more: the last step's tokens can still be followed.
      const packed = this.#pack(sub_batch, this.#half * DRAWN_SLOTS, (1 - this.#half) * DRAWN_SLOTS);
      this.#upload(packed);
      times.push(...(await timeStages(this.#gpu, this.#runner, this.#readback, packed.sizes)));
    }
    return times;
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#runner.dispose();
    disposeResources(this.#resources);
    this.#weights.dispose();
    this.#readback.dispose();
    this.#on_dispose();
  }

  /** One sub-batch of a step: one write, one pass, one submit, one readback. */
  async #run(packed: PackedSubBatch): Promise<StepResult[]> {
    const { entries, batch, sizes } = packed;
    const { results } = batch;
    this.#upload(packed);
    const encoder = this.#gpu.device.createCommandEncoder();
    encoder.clearBuffer(this.#resources.buffers.results, 4 * results.flags_at, 4 * entries.length);
    this.#resources.accumulators.clearFresh(encoder);
    this.#runner.encode(encoder, sizes);
    const parts = await this.#readback.read(encoder, this.#readRanges(packed));
    const logits = this.#logitsOf(entries, parts.slice(1));
    return readResults(entries, results, itemAt(parts, 0), logits, this.#program);
  }

  #pack({ entries, places }: SubBatch, drawn_from: number, drawn_to: number): PackedSubBatch {
    const { buffers, cache, hooks, accumulators } = this.#resources;
    const tile = entries.some(({ tokens }) => tokens.length > 1) ? this.#tile : 1;
    const batch = packBatch(entries, {
      program: this.#program,
      routes_per_row: this.#routes_per_row,
      cache,
      hooks,
      accumulators,
      ropes_by_length: buffers.ropes_by_length,
      tile,
      drawn_from,
      drawn_to,
      places,
    });
    const { n_rows, n_gathered, n_tiles, n_samples, n_sums } = batch;
    return { entries, batch, sizes: { n_rows, n_gathered, n_tiles, n_samples, n_sums, tile } };
  }

  /** Writes a packed sub-batch to the GPU, every buffer being large enough. */
  #upload({ entries, batch }: PackedSubBatch): void {
    const { buffers } = this.#resources;
    buffers.reserve(batch.n_rows, batch.n_gathered);
    buffers.reserveResults(batch.results.end);
    buffers.extendRopes(Math.max(...entries.map(({ position, tokens }) => position + tokens.length)));
    buffers.writeBatch(batch.bytes);
  }

  /** What is read back: flags, tokens, projections and captures, and logits where they were asked for. */
  #readRanges({ entries, batch: { results, gathered } }: PackedSubBatch): ReadRange[] {
    const { buffers } = this.#resources;
    const bytes = 4 * (results.read_end - results.read_start);
    const ranges: ReadRange[] = [{ buffer: buffers.results, start: 4 * results.read_start, bytes }];
    const row_bytes = 4 * buffers.stride("logits");
    for (const [i, { logits }] of entries.entries()) {
      if (logits === "none") continue;
      const { start, count } = itemAt(gathered, i);
      ranges.push({
        buffer: buffers.activation("logits"),
        start: start * row_bytes,
        bytes: count * row_bytes,
      });
    }
    return ranges;
  }

  #logitsOf(entries: readonly StepEntry[], parts: readonly ArrayBuffer[]): (Float32Array | null)[] {
    const { d_vocab } = this.#program;
    const stride = this.#resources.buffers.stride("logits");
    let next = 0;
    return entries.map(({ logits }) => {
      if (logits === "none") return null;
      const rows = new Float32Array(itemAt(parts, next++));
      if (stride === d_vocab) return rows;
      const packed = new Float32Array((rows.length / stride) * d_vocab);
      for (let r = 0; r * stride < rows.length; r++) {
        packed.set(rows.subarray(r * stride, r * stride + d_vocab), r * d_vocab);
      }
      return packed;
    });
  }

  /** The batch in sub-batches that the adapter's bindings hold, once it is known to be right. */
  #cut(batch: readonly StepEntry[]): SubBatch[] {
    checkBatch(batch, this.#batch_limits);
    if (batch.length > DRAWN_SLOTS) {
      const [need, found] = [`at most ${DRAWN_SLOTS} entries`, `${batch.length}`];
      throw new CapstanError("bad_request", { action: "run a step", need, found });
    }
    return cutBatch(batch, this.#sub_batch_limits, this.#resources.accumulators);
  }

  #alive(action: string): void {
    this.#gpu.alive();
    if (!this.#disposed) return;
    throw new CapstanError("device_lost", { action, need: "a living device", found: "a disposed one" });
  }
}

/** A sub-batch with its packed buffer, and the sizes that its dispatches go by. */
interface PackedSubBatch {
  entries: readonly StepEntry[];
  batch: PackedBatch;
  sizes: StepSizes;
}

interface Made {
  gpu: Gpu;
  program: Program;
  n_ctx: number;
  weights: Weights;
  readback: Readback;
  resources: Resources;
  runner: Runner;
  tile: number;
}

function createResources(
  gpu: Gpu,
  readback: Readback,
  program: Program,
  stages: readonly Stage[],
  { ropes, n_ctx }: DeviceLoadOptions,
): Resources {
  const buffers = new Buffers(gpu, program, stages, ropes, n_ctx);
  const replaced = () => {
    buffers.version++;
  };
  try {
    return {
      buffers,
      cache: new Cache(gpu, program, replaced),
      hooks: new HookStore(gpu, program.n_layers * SITE_KINDS.length, program.d_model, replaced),
      accumulators: new Accumulators(gpu, readback, program.d_model, replaced),
    };
  } catch (error) {
    buffers.dispose();
    throw error;
  }
}

function disposeResources({ buffers, cache, hooks, accumulators }: Resources): void {
  for (const part of [buffers, cache, hooks, accumulators]) part.dispose();
}

/** How matrices are to be stored, where that is not row by row as they come. */
function storageOf(stages: readonly Stage[]): MatrixStorage {
  const storage: MatrixStorage = { interleaved: new Set(), among_vectors: new Set(), exact: new Set() };
  for (const stage of stages) {
    if (stage.kind === "matmul" && stage.gated) storage.interleaved.add(stage.weight);
    if (stage.kind === "experts") storage.interleaved.add(stage.op.gate_up);
    if ("router" in stage && stage.router !== null) storage.among_vectors.add(stage.router.weight);
    if (stage.kind === "embed" && stage.op.positions !== null) storage.exact.add(stage.op.positions);
  }
  return storage;
}

function tileOf(stages: readonly Stage[], { n_kv_heads }: Program): number {
  const heads = stages.flatMap((stage) => (stage.kind === "attention" ? [stage.op.n_heads] : []));
  return Math.min(...heads.map((n_heads) => prefillTile(n_heads, n_kv_heads)));
}
