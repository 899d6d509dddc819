import { checkRopeLengths } from "../../models/check_batch.ts";
import type {
  AccumulatorId,
  BlockId,
  DeviceLoadOptions,
  DeviceModel,
  HookSetId,
  StepEntry,
  StepResult,
} from "../../models/device.ts";
import { CapstanError } from "../../models/errors.ts";
import { resolveFollows } from "../../models/follow.ts";
import type { DeviceHook, SiteId } from "../../models/hooks.ts";
import type { Program } from "../../models/program.ts";
import { ropeRows } from "../../models/rope.ts";
import type { RopeSpec } from "../../models/spec.ts";
import { readResults, writeBatch, writeHooks } from "./batch.ts";
import type { Instance } from "./instance.ts";
import type { ModelSizes } from "./load.ts";
import { PackedReader, PackedWriter } from "./packed.ts";

/** Positions that rope tables start with. */
const FIRST_POSITIONS = 256;

/** What 32-bit addresses reach. */
const MOST_MEMORY = 2 ** 32;
/** Kept free for a step's activations; a step that needs more finds it in blocks that the caller frees. */
const STEP_MEMORY = 64 * 2 ** 20;

/** A loaded model in an instance of its own. */
export class WasmModel implements DeviceModel {
  readonly block_size: number;
  readonly stored: DeviceModel["stored"];
  readonly n_in_flight = 1;
  readonly memory: DeviceModel["memory"];
  readonly #instance: Instance;
  readonly #program: Program;
  readonly #options: DeviceLoadOptions;
  /** Ropes whose rows come with each step. */
  readonly #by_length: readonly RopeSpec[];
  readonly #packed = new PackedWriter();
  readonly #on_dispose: () => void;
  /** What each entry of the last step drew. */
  #drawn: number[] = [];
  /** Positions that the rope tables hold so far. */
  #positions = 0;

  constructor(
    instance: Instance,
    program: Program,
    options: DeviceLoadOptions,
    sizes: ModelSizes,
    on_dispose: () => void,
  ) {
    this.#on_dispose = on_dispose;
    this.#instance = instance;
    this.#program = program;
    this.#options = options;
    this.#by_length = options.ropes.filter(({ beyond }) => beyond !== undefined);
    this.block_size = sizes.block_size;
    this.stored = sizes.stored;
    const { weight_bytes, block_bytes } = sizes;
    const left = MOST_MEMORY - instance.memory_bytes - STEP_MEMORY;
    const max_blocks = Math.max(1, Math.floor(left / block_bytes));
    this.memory = { weight_bytes, block_bytes, max_blocks, in_system_memory: true };
  }

  async allocBlocks(count: number): Promise<BlockId[]> {
    const packed = new PackedReader(this.#instance.call("allocate KV blocks", "alloc_blocks", count));
    return Array.from({ length: count }, () => packed.u32());
  }

  freeBlocks(blocks: readonly BlockId[]): void {
    for (const block of blocks) this.#instance.call("free KV blocks", "free_block", block);
  }

  copyBlock(from: BlockId, to: BlockId): void {
    this.#instance.call("copy a KV block", "copy_block", from, to);
  }

  addHooks(hooks: readonly DeviceHook[]): HookSetId {
    return this.#add("use hooks", "add_hooks", writeHooks(this.#packed, hooks));
  }

  freeHooks(id: HookSetId): void {
    this.#instance.call("free hooks", "free_hooks", id);
  }

  addAccumulator(sites: readonly SiteId[]): AccumulatorId {
    return this.#add("add an accumulator", "add_accumulator", this.#packed.clear().u32s(sites).bytes);
  }

  async readAccumulator(id: AccumulatorId): Promise<{ mean: Float32Array; count: number }> {
    const packed = new PackedReader(this.#instance.call("read an accumulator", "read_accumulator", id));
    const count = packed.f64();
    return { mean: packed.f32s(), count };
  }

  freeAccumulator(id: AccumulatorId): void {
    this.#instance.call("free an accumulator", "free_accumulator", id);
  }

  async step(asked: readonly StepEntry[]): Promise<StepResult[]> {
    const batch = resolveFollows(asked, this.#drawn);
    this.#extendRopes(Math.max(0, ...batch.map(endOf)));
    if (this.#by_length.length > 0) batch.forEach(checkRopeLengths);
    const length = this.#instance.write("run a step", writeBatch(this.#packed, batch, this.#by_length));
    const packed = new PackedReader(this.#instance.call("run a step", "run_step", length));
    const { d_model, d_vocab } = this.#program;
    const results = readResults(packed, this.#instance, batch, d_model, d_vocab);
    this.#drawn = results.map(({ token }) => token);
    return results;
  }

  async dispose(): Promise<void> {
    this.#instance.dispose();
    this.#on_dispose();
  }

  #add(action: string, name: "add_hooks" | "add_accumulator", bytes: Uint8Array): number {
    const length = this.#instance.write(action, bytes);
    return new PackedReader(this.#instance.call(action, name, length)).u32();
  }

  /** Rope rows by position come from the host, in powers of two as positions grow. */
  #extendRopes(needed: number): void {
    const { n_ctx, ropes } = this.#options;
    if (needed > n_ctx) {
      const need = `positions below n_ctx ${n_ctx}`;
      throw new CapstanError("context_overflow", { action: "run a step", need, found: `${needed - 1}` });
    }
    if (needed <= this.#positions) return;
    let positions = Math.max(FIRST_POSITIONS, this.#positions);
    while (positions < needed) positions *= 2;
    positions = Math.min(positions, n_ctx);
    for (const [table, rope] of ropes.entries()) {
      if (rope.beyond !== undefined) continue;
      const { cos, sin } = ropeRows(rope, this.#positions, positions);
      const length = this.#instance.write("extend a rope table", asBytes(cos), asBytes(sin));
      this.#instance.call("extend a rope table", "extend_rope", length, table);
    }
    this.#positions = positions;
  }
}

/** The position after an entry's last token. */
function endOf({ position, tokens }: StepEntry): number {
  if (Number.isSafeInteger(position) && position >= 0) return position + tokens.length;
  const need = "positions that are whole numbers from 0";
  throw new CapstanError("bad_request", { action: "run a step", need, found: String(position) });
}

function asBytes(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
