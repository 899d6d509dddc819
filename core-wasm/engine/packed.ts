/**
 * Packed buffers, in which TypeScript and the engine pass structures: little-endian elements of four bytes
 * (`src/packed.rs`). Whole numbers and f32 take one, f64 two.
 */
export class PackedWriter {
  #view = new DataView(new ArrayBuffer(1024));
  #length = 0;

  /** What was written so far: valid until the next write. */
  get bytes(): Uint8Array {
    return new Uint8Array(this.#view.buffer, 0, this.#length);
  }

  clear(): this {
    this.#length = 0;
    return this;
  }

  u32(...values: number[]): this {
    let at = this.#grow(4 * values.length);
    for (const value of values) {
      this.#view.setUint32(at, value, true);
      at += 4;
    }
    return this;
  }

  f32(...values: number[]): this {
    let at = this.#grow(4 * values.length);
    for (const value of values) {
      this.#view.setFloat32(at, value, true);
      at += 4;
    }
    return this;
  }

  f64(...values: number[]): this {
    let at = this.#grow(8 * values.length);
    for (const value of values) {
      this.#view.setFloat64(at, value, true);
      at += 8;
    }
    return this;
  }

  u32s(values: ArrayLike<number>): this {
    let at = this.#grow(4 * values.length);
    for (let i = 0; i < values.length; i++, at += 4) this.#view.setUint32(at, values[i]!, true);
    return this;
  }

  f32s(values: Float32Array): this {
    let at = this.#grow(4 * values.length);
    for (let i = 0; i < values.length; i++, at += 4) this.#view.setFloat32(at, values[i]!, true);
    return this;
  }

  /** Grows the buffer by `size` bytes and returns where they start. */
  #grow(size: number): number {
    const start = this.#length;
    this.#length += size;
    if (this.#length > this.#view.byteLength) {
      const larger = new Uint8Array(Math.max(this.#length, 2 * this.#view.byteLength));
      larger.set(new Uint8Array(this.#view.buffer, 0, start));
      this.#view = new DataView(larger.buffer);
    }
    return start;
  }
}

export class PackedReader {
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u32(): number {
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4, true);
  }

  i32(): number {
    return this.u32() | 0;
  }

  f64(): number {
    this.#at += 8;
    return this.#view.getFloat64(this.#at - 8, true);
  }

  /** What is left, as f32. */
  f32s(): Float32Array {
    const rest = new Float32Array((this.#view.byteLength - this.#at) / 4);
    for (let i = 0; i < rest.length; i++, this.#at += 4) rest[i] = this.#view.getFloat32(this.#at, true);
    return rest;
  }
}
