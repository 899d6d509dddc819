import { entryOf, itemAt, present } from "../models/certain.ts";
import type { Program } from "../models/program.ts";
import { ropeRows } from "../models/rope.ts";
import type { RopeSpec } from "../models/spec.ts";
import { padded, UNIFORM_STRIDE, USAGE } from "./constants.ts";
import type { Gpu } from "./context.ts";
import { ROTATION } from "./layout/step.ts";
import type { ActivationName, Stage } from "./plan.ts";
import { DRAWN_SLOTS } from "./results.ts";
import { shareBuffers } from "./share.ts";

const STORAGE = USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST;
/** Positions that rope tables start with. */
const FIRST_POSITIONS = 256;

/** Buffers of a step: activations shared by those that never live together, logits, results, rope tables, the batch. */
export class Buffers {
  /** Rises when any buffer is another one: bind groups made before no longer hold. */
  version = 0;
  readonly #gpu: Gpu;
  readonly #widths: Record<ActivationName, number>;
  readonly #place: ReadonlyMap<ActivationName, number>;
  readonly #place_widths: readonly number[];
  readonly #ropes: readonly RopeSpec[];
  readonly #n_ctx: number;
  #activations: GPUBuffer[] = [];
  #rows = 0;
  #logits: GPUBuffer | undefined;
  #gathered = 0;
  #results: GPUBuffer;
  #rope_tables: GPUBuffer[] = [];
  #positions = 0;
  #batch: GPUBuffer;
  /** Bound where a variant of a kernel leaves a place unused: a buffer may not be bound twice to be written. */
  readonly spare: GPUBuffer;

  constructor(
    gpu: Gpu,
    program: Program,
    stages: readonly Stage[],
    ropes: readonly RopeSpec[],
    n_ctx: number,
  ) {
    this.#gpu = gpu;
    this.#ropes = ropes;
    this.#n_ctx = n_ctx;
    this.#widths = { ...program.buffers, expert_act: expertWidth(program) };
    for (const name of Object.keys(this.#widths) as ActivationName[])
      this.#widths[name] = padded(this.#widths[name]);
    // Logits have rows of their own number, and are copied out after the last stage: nothing shares their place.
    const shared = shareBuffers(stages, this.#widths, new Set(["logits"]));
    this.#place = shared.place;
    const of_logits = shared.place.get("logits");
    this.#place_widths = shared.widths.map((width, place) => (place === of_logits ? 0 : width));
    this.#results = gpu.buffer("results", 4 * (2 * DRAWN_SLOTS + 1024), STORAGE);
    this.#batch = gpu.buffer("batch", 16_384, USAGE.UNIFORM | USAGE.STORAGE | USAGE.COPY_DST);
    this.spare = gpu.buffer("spare", 16, STORAGE);
    this.reserve(8, 1);
    this.extendRopes(1);
  }

  /** Most rows, gathered rows and u32s of results that the adapter's bindings hold. */
  get most(): { rows: number; gathered: number; results: number } {
    const { binding_bytes } = this.#gpu.adapter.limits;
    return {
      rows: Math.floor(binding_bytes / (4 * Math.max(...this.#place_widths))),
      gathered: Math.floor(binding_bytes / (4 * this.#widths.logits)),
      results: Math.floor(binding_bytes / 4),
    };
  }

  /** Floats from one row of a buffer to the next. */
  stride(name: ActivationName): number {
    return this.#widths[name];
  }

  activation(name: ActivationName): GPUBuffer {
    if (name === "logits") return present(this.#logits, "a buffer of logits");
    return itemAt(this.#activations, entryOf(this.#place, name));
  }

  get results(): GPUBuffer {
    return this.#results;
  }

  /** The table of a rope by position alone. */
  rope(index: number): GPUBuffer {
    return itemAt(this.#rope_tables, index);
  }

  /** Ropes whose rows come with each step, in the order of their tables there. */
  get ropes_by_length(): RopeSpec[] {
    return this.#ropes.filter(({ beyond }) => beyond !== undefined);
  }

  /** Rotations of a row in the tables before that of a rope by length; null for one by position alone. */
  ropeByLength(index: number): number | null {
    if (itemAt(this.#ropes, index).beyond === undefined) return null;
    const before = this.#ropes.slice(0, index).filter(({ beyond }) => beyond !== undefined);
    return before.reduce((sum, { d_rot }) => sum + d_rot / 2, 0);
  }

  get batch(): GPUBuffer {
    return this.#batch;
  }

  /** Grows the buffers to so many rows of a step and rows of logits; contents are lost when they grow. */
  reserve(rows: number, gathered: number): void {
    if (rows > this.#rows) {
      this.#rows = Math.min(this.most.rows, 2 ** Math.ceil(Math.log2(rows)));
      for (const buffer of this.#activations) this.#gpu.release(buffer);
      this.#activations = this.#place_widths.map((width, i) =>
        this.#gpu.buffer(`activations ${i}`, 4 * this.#rows * width, STORAGE),
      );
      this.version++;
    }
    if (gathered > this.#gathered) {
      this.#gathered = Math.min(this.most.gathered, 2 ** Math.ceil(Math.log2(gathered)));
      this.#gpu.release(this.#logits);
      this.#logits = this.#gpu.buffer("logits", 4 * this.#gathered * this.#widths.logits, STORAGE);
      this.version++;
    }
  }

  /** Grows the results to `length` u32s; tokens drawn before stay. */
  reserveResults(length: number): void {
    if (4 * length <= this.#results.size) return;
    const most = this.#gpu.adapter.limits.binding_bytes;
    const bytes = Math.max(4 * length, Math.min(most, 2 * this.#results.size));
    this.#results = this.#gpu.grow("results", this.#results, bytes);
    this.version++;
  }

  /** Uploads a step's packed buffer: the one write of a step. */
  writeBatch(bytes: Uint8Array): void {
    if (bytes.length > this.#batch.size) {
      this.#gpu.release(this.#batch);
      const usage = USAGE.UNIFORM | USAGE.STORAGE | USAGE.COPY_DST;
      this.#batch = this.#gpu.buffer("batch", 2 * bytes.length, usage);
      this.version++;
    }
    this.#gpu.write(this.#batch, 0, bytes);
  }

  /** Rope rows come from the host in f64, in powers of two as positions grow: [positions, d_rot / 2] of `ROTATION`. */
  extendRopes(needed: number): void {
    if (needed <= this.#positions) return;
    let positions = Math.max(FIRST_POSITIONS, this.#positions);
    while (positions < needed) positions *= 2;
    positions = Math.min(positions, this.#n_ctx);
    for (const [index, rope] of this.#ropes.entries()) {
      if (rope.beyond !== undefined) continue;
      const row_bytes = 4 * ROTATION.stride * (rope.d_rot / 2);
      const rotations = rotationsOf(ropeRows(rope, this.#positions, positions));
      const table = this.#gpu.grow(`rope ${index}`, this.#rope_tables[index], row_bytes * positions);
      this.#gpu.write(table, row_bytes * this.#positions, new Uint8Array(rotations.buffer));
      this.#rope_tables[index] = table;
    }
    this.#positions = positions;
    this.version++;
  }

  /** The uniform record at the head of the batch, and what is behind it. */
  batchBindings(): { step: GPUBufferBinding; batch: GPUBufferBinding } {
    return {
      step: { buffer: this.#batch, offset: 0, size: UNIFORM_STRIDE },
      batch: { buffer: this.#batch, offset: UNIFORM_STRIDE },
    };
  }

  dispose(): void {
    const all = [
      ...this.#activations,
      this.#logits,
      this.#results,
      ...this.#rope_tables,
      this.#batch,
      this.spare,
    ];
    for (const buffer of all) this.#gpu.release(buffer);
  }
}

/** The rotation of each pair, packed: `ROTATION`, written without its checks, since tables are long. */
export function rotationsOf({
  cos,
  sin,
}: {
  cos: Float32Array;
  sin: Float32Array;
}): Float32Array<ArrayBuffer> {
  const { stride, offsets } = ROTATION;
  const rotations = new Float32Array(stride * cos.length);
  for (let i = 0; i < cos.length; i++) {
    rotations[stride * i + offsets.cos] = cos[i]!;
    rotations[stride * i + offsets.sin] = sin[i]!;
  }
  return rotations;
}

/** Widest row between the two matrices of a row's experts, each padded. */
function expertWidth({ ops, weights }: Program): number {
  return Math.max(
    0,
    ...ops.map((op) => (op.op === "experts" ? op.top_k * padded(itemAt(weights, op.gate_up).rows / 2) : 0)),
  );
}
