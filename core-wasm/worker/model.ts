import { itemAt } from "../../models/certain.ts";
import { checkSites } from "../../models/check_batch.ts";
import type {
  AccumulatorId,
  BlockId,
  DeviceModel,
  HookSetId,
  StepEntry,
  StepResult,
} from "../../models/device.ts";
import { CapstanError, unknownId } from "../../models/errors.ts";
import type { DeviceHook, SiteId } from "../../models/hooks.ts";
import { type Program, programSites } from "../../models/program.ts";
import type { Channel } from "./channel.ts";
import type { Call, LoadedInfo, Order } from "./messages.ts";

/** Beside the steps that the device takes at once, one on its way to it: it never waits for a message. */
const STEPS_ON_THE_WAY = 1;

/**
 * A model in a worker. What a device refuses at once (ids, sites, lengths) is refused here, before anything is posted;
 * ids of hooks and accumulators are given here, so that nobody waits for them.
 */
export class WorkerModel implements DeviceModel {
  readonly block_size: number;
  readonly stored: DeviceModel["stored"];
  readonly n_in_flight: number;
  readonly memory: DeviceModel["memory"];
  readonly #channel: Channel;
  readonly #model: number;
  readonly #d_model: number;
  readonly #sites: ReadonlySet<SiteId>;
  readonly #blocks = new Set<BlockId>();
  readonly #hooks = new Set<HookSetId>();
  readonly #accumulators = new Set<AccumulatorId>();
  #n_ids = 0;
  #disposed = false;

  constructor(channel: Channel, model: number, program: Program, info: LoadedInfo) {
    this.#channel = channel;
    this.#model = model;
    this.#d_model = program.d_model;
    this.#sites = new Set(programSites(program));
    this.block_size = info.block_size;
    this.stored = info.stored;
    this.n_in_flight = info.n_in_flight + STEPS_ON_THE_WAY;
    this.memory = info.memory;
  }

  async allocBlocks(count: number): Promise<BlockId[]> {
    const blocks = (await this.#call("allocate KV blocks", { method: "allocBlocks", count })) as BlockId[];
    for (const block of blocks) this.#blocks.add(block);
    return blocks;
  }

  freeBlocks(blocks: readonly BlockId[]): void {
    if (blocks.length === 0) return;
    this.#alive("free KV blocks");
    const n_known = blocks.findIndex((block) => !this.#blocks.delete(block));
    const known = n_known < 0 ? blocks : blocks.slice(0, n_known);
    this.#order("free KV blocks", { method: "freeBlocks", blocks: known });
    if (n_known >= 0) throw unknownId("free KV blocks", "block", itemAt(blocks, n_known));
  }

  copyBlock(from: BlockId, to: BlockId): void {
    this.#alive("copy a KV block");
    for (const block of [from, to]) {
      if (!this.#blocks.has(block)) throw unknownId("copy a KV block", "block", block);
    }
    this.#order("copy a KV block", { method: "copyBlock", from, to });
  }

  addHooks(hooks: readonly DeviceHook[]): HookSetId {
    this.#alive("use hooks");
    checkSites(
      hooks.map(({ site }) => site),
      this.#sites,
      "use hooks",
    );
    for (const hook of hooks) this.#checkVectors(hook);
    const id = ++this.#n_ids;
    this.#order("use hooks", { method: "addHooks", id, hooks });
    this.#hooks.add(id);
    return id;
  }

  freeHooks(id: HookSetId): void {
    this.#alive("free hooks");
    if (!this.#hooks.delete(id)) throw unknownId("free hooks", "hook set", id);
    this.#order("free hooks", { method: "freeHooks", id });
  }

  addAccumulator(sites: readonly SiteId[]): AccumulatorId {
    this.#alive("add an accumulator");
    checkSites(sites, this.#sites, "add an accumulator");
    const id = ++this.#n_ids;
    this.#order("add an accumulator", { method: "addAccumulator", id, sites });
    this.#accumulators.add(id);
    return id;
  }

  async readAccumulator(id: AccumulatorId): Promise<{ mean: Float32Array; count: number }> {
    const action = "read an accumulator";
    this.#alive(action);
    if (!this.#accumulators.has(id)) throw unknownId(action, "accumulator", id);
    return (await this.#call(action, { method: "readAccumulator", id })) as {
      mean: Float32Array;
      count: number;
    };
  }

  freeAccumulator(id: AccumulatorId): void {
    this.#alive("free an accumulator");
    if (!this.#accumulators.delete(id)) throw unknownId("free an accumulator", "accumulator", id);
    this.#order("free an accumulator", { method: "freeAccumulator", id });
  }

  async step(batch: readonly StepEntry[]): Promise<StepResult[]> {
    this.#alive("run a step");
    for (const { hooks, accumulate } of batch) {
      if (hooks !== 0 && !this.#hooks.has(hooks)) throw unknownId("run a step", "hook set", hooks);
      const unknown = accumulate.find(({ id }) => !this.#accumulators.has(id));
      if (unknown !== undefined) throw unknownId("run a step", "accumulator", unknown.id);
    }
    return (await this.#call("run a step", { method: "step", batch: batch.map(compact) })) as StepResult[];
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    try {
      await this.#call("dispose of a model", { method: "dispose" });
    } catch (error) {
      // A worker that is gone holds nothing.
      if (!(error instanceof CapstanError && error.code === "device_lost")) throw error;
    }
  }

  #call(action: string, of: Unaddressed<Call>): Promise<unknown> {
    this.#alive(action);
    if (of.method === "dispose") this.#disposed = true;
    return this.#channel.call(action, { ...of, model: this.#model } as Call);
  }

  #order(action: string, of: Unaddressed<Order>): void {
    this.#channel.order(action, { ...of, model: this.#model } as Order);
  }

  #alive(action: string): void {
    this.#channel.check(action);
    if (!this.#disposed) return;
    const parts = { action, need: "a living device", found: "a disposed one" };
    throw new CapstanError("device_lost", parts);
  }

  #checkVectors(hook: DeviceHook): void {
    const vectors = [
      "direction" in hook ? hook.direction : null,
      "delta" in hook && hook.delta !== null ? hook.delta : null,
    ];
    const wrong = vectors.find((vector) => vector !== null && vector.length !== this.#d_model);
    if (!wrong) return;
    const parts = { action: "use hooks", need: `vectors [${this.#d_model}]`, found: `[${wrong.length}]` };
    throw new CapstanError("bad_request", parts);
  }
}

/** A message without its model. */
type Unaddressed<Message> = Message extends { model: number } ? Omit<Message, "model"> : never;

/** The entry with arrays of their own: a message takes the whole buffer that a view is of. */
function compact(entry: StepEntry): StepEntry {
  const { tokens, rope_lengths, blocks, sample } = entry;
  return {
    ...entry,
    tokens: own(tokens),
    rope_lengths: rope_lengths && own(rope_lengths),
    blocks: own(blocks),
    sample: sample?.history ? { ...sample, history: own(sample.history) } : sample,
  };
}

function own(values: Int32Array): Int32Array {
  return values.byteLength === values.buffer.byteLength ? values : values.slice();
}
