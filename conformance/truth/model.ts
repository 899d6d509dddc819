import { entryOf } from "../../models/certain.ts";
import {
  type BatchLimits,
  CapstanError,
  checkBatch,
  checkSites,
  type DeviceHook,
  type DeviceLoadOptions,
  type DeviceModel,
  type HookSetId,
  type Program,
  programSites,
  type RopeSpec,
  resolveFollows,
  ropeLengths,
  type SiteId,
  type StepEntry,
  type StepResult,
  unknownId,
} from "../../models/index.ts";
import { Cache } from "./cache.ts";
import { runOp } from "./ops/index.ts";
import { type Accumulator, beginRun, type StepRun } from "./run.ts";
import type { Weight } from "./weights.ts";

/** A program with its weights: holds ids to what callers made, and runs steps op by op. */
export class TruthModel implements DeviceModel {
  readonly block_size: number;
  readonly stored: DeviceModel["stored"];
  readonly n_in_flight = 1;
  readonly memory: DeviceModel["memory"];
  readonly #program: Program;
  readonly #weights: readonly Weight[];
  readonly #ropes: readonly RopeSpec[];
  readonly #limits: BatchLimits;
  readonly #cache: Cache;
  readonly #hooks = new Map<number, readonly DeviceHook[]>();
  readonly #accumulators = new Map<number, Accumulator>();
  #next_id = 1;
  /** What each entry of the last step drew. */
  #drawn: number[] = [];
  #disposed = false;

  constructor(
    program: Program,
    weights: readonly Weight[],
    { ropes, n_ctx, dtype }: DeviceLoadOptions,
    { block_size, max_blocks }: { block_size: number; max_blocks: number },
  ) {
    this.#program = program;
    this.#weights = weights;
    this.#ropes = ropes;
    this.#cache = new Cache(program, block_size, max_blocks);
    this.block_size = block_size;
    // f32 is exact, whatever the file has.
    this.stored = [dtype === "auto" ? "f32" : dtype];
    this.#limits = {
      d_vocab: program.d_vocab,
      n_ctx,
      block_size,
      by_length: ropeLengths(ropes) !== null,
      sites: new Set(programSites(program)),
      hasBlock: (id) => this.#cache.has(id),
      hasHooks: (id) => this.#hooks.has(id),
      hasAccumulator: (id) => this.#accumulators.has(id),
      drew: (entry) => (this.#drawn[entry] ?? -1) >= 0,
    };
    this.memory = {
      weight_bytes: weights.reduce((sum, { data }) => sum + data.byteLength, 0),
      block_bytes: this.#cache.block_bytes,
      max_blocks,
      in_system_memory: true,
    };
  }

  async allocBlocks(count: number): Promise<number[]> {
    this.#alive("allocate KV blocks");
    return this.#cache.alloc(count);
  }

  freeBlocks(blocks: readonly number[]): void {
    this.#alive("free KV blocks");
    this.#cache.free(blocks);
  }

  copyBlock(from: number, to: number): void {
    this.#alive("copy a KV block");
    this.#cache.copy(from, to);
  }

  addHooks(hooks: readonly DeviceHook[]): number {
    this.#alive("add hooks");
    checkSites(
      hooks.map(({ site }) => site),
      this.#limits.sites,
      "add hooks",
    );
    this.#hooks.set(this.#next_id, structuredClone(hooks));
    return this.#next_id++;
  }

  freeHooks(id: number): void {
    this.#alive("free hooks");
    if (!this.#hooks.delete(id)) throw unknownId("free hooks", "hook set", id);
  }

  addAccumulator(sites: readonly SiteId[]): number {
    this.#alive("add an accumulator");
    checkSites(sites, this.#limits.sites, "add an accumulator");
    const sum = new Float64Array(sites.length * this.#program.d_model);
    this.#accumulators.set(this.#next_id, { sites: [...sites], sum, count: 0 });
    return this.#next_id++;
  }

  async readAccumulator(id: number): Promise<{ mean: Float32Array; count: number }> {
    this.#alive("read an accumulator");
    const accumulator = this.#accumulators.get(id);
    if (accumulator === undefined) throw unknownId("read an accumulator", "accumulator", id);
    const { sum, count } = accumulator;
    return { mean: Float32Array.from(sum, (x) => (count === 0 ? 0 : x / count)), count };
  }

  freeAccumulator(id: number): void {
    this.#alive("free an accumulator");
    if (!this.#accumulators.delete(id)) throw unknownId("free an accumulator", "accumulator", id);
  }

  async step(asked: readonly StepEntry[]): Promise<StepResult[]> {
    this.#alive("run a step");
    checkBatch(asked, this.#limits);
    const batch = resolveFollows(asked, this.#drawn);
    const run = this.#begin(batch);
    for (const op of this.#program.ops) runOp(run, op);
    for (const { accumulate } of batch) {
      for (const { id, start, end } of accumulate) entryOf(this.#accumulators, id).count += end - start;
    }
    this.#drawn = run.entries.map(({ result }) => result.token);
    return run.entries.map(({ result }) => result);
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
  }

  #begin(batch: readonly StepEntry[]): StepRun {
    const hooks = (id: HookSetId) => (id === 0 ? [] : entryOf(this.#hooks, id));
    const on = {
      program: this.#program,
      weights: this.#weights,
      ropes: this.#ropes,
      cache: this.#cache,
      accumulators: this.#accumulators,
    };
    return beginRun(
      on,
      batch.map((ask) => ({ ask, hooks: hooks(ask.hooks) })),
    );
  }

  #alive(action: string): void {
    if (this.#disposed) throw lost(action);
  }
}

/** The error of every call on what has been disposed. */
export function lost(action: string): CapstanError {
  return new CapstanError("device_lost", { action, need: "a device in use", found: "one that was disposed" });
}
