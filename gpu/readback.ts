import { itemAt } from "../models/certain.ts";
import { MAP_READ_MODE, USAGE } from "./constants.ts";
import { type Gpu, lostError } from "./context.ts";

/** Range of a buffer to be read: whole u32s. */
export interface ReadRange {
  buffer: GPUBuffer;
  start: number;
  bytes: number;
}

/** Reads parts of buffers through staging buffers that are used again: one copy each, one mapping in all. */
export class Readback {
  readonly #gpu: Gpu;
  #idle: GPUBuffer[] = [];
  readonly #busy = new Set<GPUBuffer>();

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** Ends the encoder with the copies, submits it and returns the bytes of each range once the GPU has copied them. */
  async read(encoder: GPUCommandEncoder, ranges: readonly ReadRange[]): Promise<ArrayBuffer[]> {
    const total = ranges.reduce((sum, { bytes }) => sum + bytes, 0);
    const staging = this.#take(total);
    let at = 0;
    for (const { buffer, start, bytes } of ranges) {
      if (bytes > 0) encoder.copyBufferToBuffer(buffer, start, staging, at, bytes);
      at += bytes;
    }
    this.#gpu.submit(encoder);
    this.#gpu.counters.readbacks++;
    this.#gpu.counters.readback_bytes += total;
    try {
      await staging.mapAsync(MAP_READ_MODE, 0, Math.max(16, total));
      const mapped = staging.getMappedRange(0, Math.max(16, total));
      at = 0;
      const parts = ranges.map(({ bytes }) => {
        at += bytes;
        return mapped.slice(at - bytes, at);
      });
      staging.unmap();
      return parts;
    } catch (error) {
      this.#gpu.alive();
      // The loss may be reported a little later than the mapping's failure.
      throw lostError(error instanceof Error ? error.message : String(error));
    } finally {
      this.#busy.delete(staging);
      if (this.#gpu.failed === undefined) this.#idle.push(staging);
      else this.#gpu.release(staging);
    }
  }

  dispose(): void {
    for (const buffer of [...this.#idle, ...this.#busy]) this.#gpu.release(buffer);
    this.#idle = [];
    this.#busy.clear();
  }

  #take(bytes: number): GPUBuffer {
    const found = this.#idle.findIndex(({ size }) => size >= bytes);
    let buffer: GPUBuffer;
    if (found >= 0) {
      buffer = itemAt(this.#idle.splice(found, 1), 0);
    } else {
      // What is too small is released, so that staging does not pile up.
      this.#gpu.release(this.#idle.shift());
      const size = Math.max(4096, 2 ** Math.ceil(Math.log2(Math.max(1, bytes))));
      buffer = this.#gpu.buffer("readback", size, USAGE.MAP_READ | USAGE.COPY_DST);
    }
    this.#busy.add(buffer);
    return buffer;
  }
}
