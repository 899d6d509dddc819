/** SHA-256 (FIPS 180-4) over bytes that come in parts, for what cannot wait for the platform's own, which is asynchronous. */
export class Sha256 {
  readonly #state = Uint32Array.from(ROOTS.first, fraction);
  readonly #schedule = new Uint32Array(64);
  /** A block that is not full yet. */
  readonly #block = new Uint8Array(64);
  #n = 0;

  update(bytes: Uint8Array): void {
    let at = 0;
    const filled = this.#n % 64;
    this.#n += bytes.length;
    if (filled > 0) {
      at = Math.min(64 - filled, bytes.length);
      this.#block.set(bytes.subarray(0, at), filled);
      if (filled + at < 64) return;
      this.#compress(this.#block, 0);
    }
    for (; at + 64 <= bytes.length; at += 64) this.#compress(bytes, at);
    this.#block.set(bytes.subarray(at), 0);
  }

  /** Ends it. */
  hex(): string {
    const n_bits = BigInt(this.#n) * 8n;
    const padding = new Uint8Array(((119 - (this.#n % 64)) % 64) + 9);
    padding[0] = 0x80;
    new DataView(padding.buffer).setBigUint64(padding.length - 8, n_bits);
    this.update(padding);
    return Array.from(this.#state, (part) => part.toString(16).padStart(8, "0")).join("");
  }

  #compress(bytes: Uint8Array, at: number): void {
    const w = this.#schedule;
    const s = this.#state;
    for (let i = 0; i < 16; i++) {
      const b = at + 4 * i;
      w[i] = (bytes[b]! << 24) | (bytes[b + 1]! << 16) | (bytes[b + 2]! << 8) | bytes[b + 3]!;
    }
    for (let i = 16; i < 64; i++) {
      const [x, y] = [w[i - 15]!, w[i - 2]!];
      const s0 = rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3);
      const s1 = rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10);
      w[i] = w[i - 16]! + s0 + w[i - 7]! + s1;
    }
    let [a, b, c, d] = [s[0]!, s[1]!, s[2]!, s[3]!];
    let [e, f, g, h] = [s[4]!, s[5]!, s[6]!, s[7]!];
    for (let i = 0; i < 64; i++) {
      const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + CONSTANTS[i]! + w[i]!) | 0;
      const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e] = [g, f, e, (d + t1) | 0];
      [d, c, b, a] = [c, b, a, (t1 + t2) | 0];
    }
    for (const [i, value] of [a, b, c, d, e, f, g, h].entries()) s[i] = s[i]! + value;
  }
}

function rotate(x: number, n: number): number {
  return (x >>> n) | (x << (32 - n));
}

/** The first 32 bits of a number's fraction. */
function fraction(value: number): number {
  return (value - Math.floor(value)) * 2 ** 32;
}

/** Square roots of the first 8 primes, cube roots of the first 64: what the standard takes its constants from. */
const ROOTS = rootsOfPrimes();
const CONSTANTS = Uint32Array.from(ROOTS.all, fraction);

function rootsOfPrimes(): { first: number[]; all: number[] } {
  const primes: number[] = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  return { first: primes.slice(0, 8).map(Math.sqrt), all: primes.map(Math.cbrt) };
}
