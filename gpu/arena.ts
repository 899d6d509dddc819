import { itemAt } from "../models/certain.ts";
import { type Gpu, outOfMemory } from "./context.ts";

/** Ranges of a buffer that grows, allocated and freed: first fit among what was freed, else at the end. Counts u32s. */
export class Arena {
  readonly #gpu: Gpu;
  readonly #label: string;
  readonly #on_grow: () => void;
  #buffer: GPUBuffer;
  #end = 0;
  #holes: { at: number; length: number }[] = [];

  constructor(gpu: Gpu, label: string, on_grow: () => void) {
    this.#gpu = gpu;
    this.#label = label;
    this.#on_grow = on_grow;
    this.#buffer = gpu.grow(label, undefined, 1024);
  }

  get buffer(): GPUBuffer {
    return this.#buffer;
  }

  /** Address of `length` u32s, whose contents are undefined. @throws CapstanError `out_of_memory` */
  take(length: number): number {
    const found = this.#holes.findIndex((hole) => hole.length >= length);
    if (found >= 0) {
      const hole = itemAt(this.#holes, found);
      const at = hole.at;
      hole.at += length;
      hole.length -= length;
      if (hole.length === 0) this.#holes.splice(found, 1);
      return at;
    }
    this.#reserve(4 * (this.#end + length));
    const at = this.#end;
    this.#end += length;
    return at;
  }

  free(at: number, length: number): void {
    const next = this.#holes.findIndex((hole) => hole.at > at);
    const index = next < 0 ? this.#holes.length : next;
    this.#holes.splice(index, 0, { at, length });
    this.#join(index);
    if (index > 0) this.#join(index - 1);
  }

  dispose(): void {
    this.#gpu.release(this.#buffer);
  }

  #join(index: number): void {
    const [hole, next] = [itemAt(this.#holes, index), this.#holes[index + 1]];
    if (next === undefined || hole.at + hole.length !== next.at) return;
    hole.length += next.length;
    this.#holes.splice(index + 1, 1);
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#buffer.size) return;
    const most = this.#gpu.adapter.limits.binding_bytes;
    if (bytes > most) throw outOfMemory(`grow ${this.#label}`, bytes, `bindings of at most ${most} bytes`);
    const size = Math.min(most, Math.max(bytes, 2 * this.#buffer.size));
    this.#buffer = this.#gpu.grow(this.#label, this.#buffer, size);
    this.#on_grow();
  }
}
