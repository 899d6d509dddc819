import { CapstanError, show } from "../../models/errors.ts";
import { UNIFORM_STRIDE } from "../constants.ts";
import { type Fields, NONE, type PackedViews, type RecordLayout, type Values } from "./record.ts";

/**
 * A step's packed buffer, which grows: a uniform record of at most `UNIFORM_STRIDE` bytes at its head, then records and
 * lists. Addresses count u32s from behind the head.
 */
export class Packed implements PackedViews {
  #buffer = new ArrayBuffer(4096);
  #u32 = new Uint32Array(this.#buffer, UNIFORM_STRIDE);
  #f32 = new Float32Array(this.#buffer, UNIFORM_STRIDE);
  #length = 0;

  get u32(): Uint32Array {
    return this.#u32;
  }

  get f32(): Float32Array {
    return this.#f32;
  }

  /** Address of the next value. */
  get length(): number {
    return this.#length;
  }

  /** Reserves u32s, zeros until they are written, and returns their address. */
  reserve(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#u32.length) this.#grow();
    return at;
  }

  /** Reserves `count` records and returns the address of the first. */
  records<F extends Fields>(layout: RecordLayout<F>, count: number): number {
    return this.reserve(layout.stride * count);
  }

  /** Writes records one after the other and returns the address of the first. */
  list<F extends Fields>(layout: RecordLayout<F>, all: readonly Values<F>[]): number {
    const first = this.records(layout, all.length);
    for (const [i, values] of all.entries()) layout.write(this, first + i * layout.stride, values);
    return first;
  }

  /** Writes whole numbers below 2^32, or null for none, and returns the address of the first. */
  u32s(values: ArrayLike<number | null>): number {
    const at = this.reserve(values.length);
    for (let i = 0; i < values.length; i++) {
      const value = values[i] ?? NONE;
      if (value >>> 0 !== value) throw refused("whole numbers below 2^32 in a list", values[i]);
      this.#u32[at + i] = value;
    }
    return at;
  }

  /** Writes `length` u32s, of which all but those given by index are none, and returns the address of the first. */
  sparse(length: number, values: ReadonlyMap<number, number>): number {
    const at = this.reserve(length);
    this.#u32.fill(NONE, at, at + length);
    for (const [index, value] of values) {
      if (value >>> 0 !== value) throw refused("whole numbers below 2^32 in a list", value);
      if (!(index >= 0 && index < length)) throw refused(`an index below ${length}`, index);
      this.#u32[at + index] = value;
    }
    return at;
  }

  f32s(values: ArrayLike<number>): number {
    const at = this.reserve(values.length);
    this.#f32.set(values, at);
    return at;
  }

  /** All of it, for one write to the GPU, with the uniform record in its place. */
  bytes<F extends Fields>(head: RecordLayout<F>, values: Values<F>): Uint8Array<ArrayBuffer> {
    const views = {
      u32: new Uint32Array(this.#buffer, 0, UNIFORM_STRIDE / 4),
      f32: new Float32Array(this.#buffer, 0, UNIFORM_STRIDE / 4),
    };
    head.write(views, 0, values);
    // A storage binding may not be empty.
    return new Uint8Array(this.#buffer, 0, UNIFORM_STRIDE + 4 * Math.max(4, this.#length));
  }

  #grow(): void {
    const larger = new ArrayBuffer(Math.max(UNIFORM_STRIDE + 4 * this.#length, 2 * this.#buffer.byteLength));
    new Uint8Array(larger).set(new Uint8Array(this.#buffer));
    this.#buffer = larger;
    this.#u32 = new Uint32Array(larger, UNIFORM_STRIDE);
    this.#f32 = new Float32Array(larger, UNIFORM_STRIDE);
  }
}

function refused(need: string, found: unknown): CapstanError {
  return new CapstanError("bad_request", { action: "pack a list for the GPU", need, found: show(found) });
}
