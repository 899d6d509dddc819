import { itemAt } from "../models/certain.ts";
import type { AccumulatorId } from "../models/device.ts";
import { unknownId } from "../models/errors.ts";
import type { SiteId } from "../models/hooks.ts";
import { Arena } from "./arena.ts";
import type { Gpu } from "./context.ts";
import type { Readback } from "./readback.ts";

export interface Accumulator {
  sites: readonly SiteId[];
  /** Address of its sums, [n_sites, d_model]. */
  at: number;
  count: number;
}

/** Running sums on the device. Reads asked for in one go share one readback. */
export class Accumulators {
  readonly #gpu: Gpu;
  readonly #readback: Readback;
  readonly #d_model: number;
  readonly #arena: Arena;
  readonly #all = new Map<AccumulatorId, Accumulator>();
  #next: AccumulatorId = 1;
  /** Sums to be cleared before the next step or read. */
  #fresh: { at: number; length: number }[] = [];
  #asked: {
    at: number;
    length: number;
    resolve: (sums: Float32Array) => void;
    reject: (error: unknown) => void;
  }[] = [];

  constructor(gpu: Gpu, readback: Readback, d_model: number, on_grow: () => void) {
    this.#gpu = gpu;
    this.#readback = readback;
    this.#d_model = d_model;
    this.#arena = new Arena(gpu, "sums", on_grow);
  }

  get buffer(): GPUBuffer {
    return this.#arena.buffer;
  }

  get(id: AccumulatorId): Accumulator | undefined {
    return this.#all.get(id);
  }

  add(sites: readonly SiteId[]): AccumulatorId {
    const length = sites.length * this.#d_model;
    const at = this.#arena.take(length);
    if (length > 0) this.#fresh.push({ at, length });
    this.#all.set(this.#next, { sites: [...sites], at, count: 0 });
    return this.#next++;
  }

  /** Begins a step's commands: new sums start from zero. */
  clearFresh(encoder: GPUCommandEncoder): void {
    for (const { at, length } of this.#fresh.splice(0)) {
      encoder.clearBuffer(this.#arena.buffer, 4 * at, 4 * length);
    }
  }

  async read(id: AccumulatorId): Promise<{ mean: Float32Array; count: number }> {
    const { at, sites, count } = this.#known("read an accumulator", id);
    const length = sites.length * this.#d_model;
    if (length === 0) return { mean: new Float32Array(0), count };
    const sums = await new Promise<Float32Array>((resolve, reject) => {
      if (this.#asked.length === 0) queueMicrotask(() => this.#readAll());
      this.#asked.push({ at, length, resolve, reject });
    });
    return { mean: sums.map((sum) => (count === 0 ? 0 : sum / count)), count };
  }

  free(id: AccumulatorId): void {
    const { at, sites } = this.#known("free an accumulator", id);
    this.#all.delete(id);
    if (sites.length > 0) this.#arena.free(at, sites.length * this.#d_model);
  }

  dispose(): void {
    this.#arena.dispose();
  }

  #readAll(): void {
    const asked = this.#asked.splice(0);
    const ranges = asked.map(({ at, length }) => ({
      buffer: this.#arena.buffer,
      start: 4 * at,
      bytes: 4 * length,
    }));
    const encoder = this.#gpu.device.createCommandEncoder();
    this.clearFresh(encoder);
    this.#readback.read(encoder, ranges).then(
      (parts) => {
        for (const [i, { resolve }] of asked.entries()) resolve(new Float32Array(itemAt(parts, i)));
      },
      (error: unknown) => {
        for (const { reject } of asked) reject(error);
      },
    );
  }

  #known(action: string, id: AccumulatorId): Accumulator {
    const found = this.#all.get(id);
    if (found === undefined) throw unknownId(action, "accumulator", id);
    return found;
  }
}
