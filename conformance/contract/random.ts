/** Numbers from a seed, the same everywhere (mulberry32). For test data only. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Uniform in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Whole, in [0, end). */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  /** Standard normal (Box-Muller). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
  }

  /** [length] normal values of a standard deviation. */
  vector(length: number, deviation = 1): Float32Array {
    return Float32Array.from({ length }, () => this.normal() * deviation);
  }

  /** [length] token ids below `d_vocab`. */
  tokens(length: number, d_vocab: number): Int32Array {
    return Int32Array.from({ length }, () => this.below(d_vocab));
  }
}
