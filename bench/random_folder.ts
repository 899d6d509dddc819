import { Random } from "../conformance/contract/random.ts";
import { itemAt, lastOf, present } from "../models/certain.ts";
import { buildProgram, readDecoder, type TensorSpec, tensorSpecs } from "../models/index.ts";
import type { FileSource } from "../sdk/types.ts";
import type { Shape } from "./shape.ts";

/** Values that every tensor repeats; a prime, so that rows do not. */
const N_VALUES = 262_139;

interface Placed extends TensorSpec {
  start: number;
  end: number;
}

/** A shape's Hugging Face folder with random bfloat16 weights that are made as they are read: no disk, no memory. */
export function randomFolder({ config, seed }: Shape): FileSource {
  const placed = placeTensors(tensorSpecs(buildProgram(readDecoder(config))));
  const header = safetensorsHeader(placed);
  const texts: Record<string, Uint8Array> = {
    "config.json": new TextEncoder().encode(JSON.stringify(config)),
  };
  const weights = "model.safetensors";
  const n_bytes = header.length + lastOf(placed).end;
  const values = new RandomValues(seed);
  return {
    size: async (name) => (name === weights ? n_bytes : texts[name]?.length),
    async read(name, start, end) {
      if (name !== weights) return present(texts[name], name).subarray(start, end);
      const bytes = new Uint8Array(end - start);
      if (start < header.length) bytes.set(header.subarray(start, end));
      for (const tensor of placed) {
        const from = Math.max(start - header.length, tensor.start);
        const to = Math.min(end - header.length, tensor.end);
        if (from >= to) continue;
        const at = from + header.length - start;
        values.fill(bytes.subarray(at, at + to - from), tensor, from - tensor.start);
      }
      return bytes;
    },
  };
}

function placeTensors(specs: readonly TensorSpec[]): Placed[] {
  let at = 0;
  return specs.map((spec) => {
    const start = at;
    at += 2 * spec.shape.reduce((product, n) => product * n, 1);
    return { ...spec, start, end: at };
  });
}

function safetensorsHeader(placed: readonly Placed[]): Uint8Array {
  const entries = placed.map(({ name, shape, start, end }) => [
    name,
    { dtype: "BF16", shape, data_offsets: [start, end] },
  ]);
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const length = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + length).fill(32);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return header;
}

/** Uniform values of the deviation that keeps a stream its size, by a tensor's inputs; norms are 1. */
class RandomValues {
  readonly #seed: number;
  readonly #blocks = new Map<number, Uint8Array>();

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** A tensor's bytes from `offset` on. */
  fill(bytes: Uint8Array, { name, shape }: TensorSpec, offset: number): void {
    const deviation = shape.length === 1 ? 0 : name.includes("embed") ? 1 : 1 / Math.sqrt(itemAt(shape, 1));
    const block = this.#block(deviation);
    for (let at = 0; at < bytes.length; ) {
      const from = (offset + at) % block.length;
      const part = block.subarray(from, from + bytes.length - at);
      bytes.set(part, at);
      at += part.length;
    }
  }

  #block(deviation: number): Uint8Array {
    let block = this.#blocks.get(deviation);
    if (block === undefined) {
      const random = new Random(this.#seed);
      const floats = Float32Array.from({ length: N_VALUES }, () =>
        deviation === 0 ? 1 : (2 * random.next() - 1) * Math.sqrt(3) * deviation,
      );
      const halves = Uint16Array.from(new Uint32Array(floats.buffer), (bits) => bits >>> 16);
      block = new Uint8Array(halves.buffer);
      this.#blocks.set(deviation, block);
    }
    return block;
  }
}
