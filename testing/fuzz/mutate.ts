/** Changes to files, each drawn from a seed alone, so that a number is enough to make an input again. */

import { itemAt } from "../../models/certain.ts";
import { concatBytes } from "../../models/index.ts";

/** Numbers in [0, 1) that depend on the seed (mulberry32). */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
  }
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
  /** A whole number from 0 up to, not including, `end`. */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }
  pick<T>(list: readonly T[]): T {
    return itemAt(list, this.below(list.length));
  }
  chance(p: number): boolean {
    return this.next() < p;
  }
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const deep = (depth: number): Json => {
  let value: Json = 1;
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { a: value };
  return value;
};

/** Values that readers trip over. */
const HOSTILE: readonly ((random: Random) => Json)[] = [
  () => null,
  () => true,
  () => false,
  (random) =>
    random.pick([-1, 0, 1, 2, 3, 7, 255, 65535, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 53 - 1]),
  (random) => random.pick([0.5, -0.5, 1e-300, 1e300, -1e300, 1.0000001]),
  (random) =>
    random.pick([
      "",
      " ",
      "a",
      "1",
      "true",
      "null",
      "\u0000",
      "\ud800",
      "..",
      "../x",
      "/etc",
      "__proto__",
      "constructor",
    ]),
  (random) => "x".repeat(random.pick([10, 1000, 100_000])),
  (random) => random.pick(["<|im_end|>", "{{ x }}", "{% for %}", "(a+)+$", "[", "\\p{", "(?i:x", "\u2581"]),
  () => [],
  () => ({}),
  (random) =>
    Array.from({ length: random.pick([1, 3, 1000]) }, () => random.pick<Json>([0, 1, null, "a", [], {}])),
  (random) => deep(random.pick([2, 50, 2000])),
];

/** Changes a JSON value in one to four places; the value itself is left alone. */
export function mutateJson(value: Json, random: Random): Json {
  let made = structuredClone(value);
  const changes = 1 + random.below(4);
  for (let i = 0; i < changes; i++) made = changeOne(made, random);
  return made;
}

function changeOne(root: Json, random: Random): Json {
  const places = placesOf(root);
  if (places.length === 0) return random.pick(HOSTILE)(random);
  const { parent, key } = random.pick(places);
  const old = (parent as Record<string | number, Json>)[key]!;
  const set = (value: Json) => {
    Object.defineProperty(parent, key, { value, writable: true, enumerable: true, configurable: true });
  };
  const kind = random.next();
  if (kind < 0.15) {
    if (Array.isArray(parent)) parent.splice(Number(key), 1);
    else delete (parent as Record<string, Json>)[key];
  } else if (kind < 0.25) {
    const other = random.pick(places);
    set(structuredClone((other.parent as Record<string | number, Json>)[other.key]!));
  } else if (kind < 0.35 && !Array.isArray(parent)) {
    const name = random.pick([`${key}x`, "type", "__proto__", "constructor", "", "toString"]);
    Object.defineProperty(parent, name, { value: old, writable: true, enumerable: true, configurable: true });
  } else if (kind < 0.5 && typeof old === "number") {
    set(random.pick([old + 1, old - 1, -old, old * 2, old * 1000, old / 2, old * 2 ** 40]));
  } else if (kind < 0.6 && typeof old === "string") {
    set(mutateText(old, random));
  } else set(random.pick(HOSTILE)(random));
  return root;
}

type Place = { parent: Json[] | { [key: string]: Json }; key: string | number };

/** Some of the places where a value stands: few of large tables, so that all parts have their turn. */
function placesOf(root: Json, places: Place[] = [], depth = 0): Place[] {
  if (typeof root !== "object" || root === null || depth > 20) return places;
  const keys: (string | number)[] = Array.isArray(root) ? [...root.keys()] : Object.keys(root);
  const step = Math.max(1, Math.floor(keys.length / 12));
  for (let i = 0; i < keys.length; i += step) {
    const key = itemAt(keys, i);
    places.push({ parent: root, key });
    placesOf((root as Record<string | number, Json>)[key]!, places, depth + 1);
  }
  return places;
}

/** Changes a text in a few places. */
export function mutateText(text: string, random: Random): string {
  let made = text;
  const changes = 1 + random.below(3);
  for (let i = 0; i < changes; i++) {
    const at = random.below(made.length + 1);
    const end = Math.min(made.length, at + random.pick([0, 1, 1, 5, 50]));
    const filling = random.pick([
      "",
      "",
      made.slice(random.below(made.length + 1)).slice(0, random.pick([1, 10, 100])),
      random.pick([
        '"',
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\\",
        "-",
        "e9",
        "null",
        "\n",
        "\u0000",
        "\uffff",
        "0",
        "99999999999",
      ]),
      random.pick(["[", '{"a":', "("]).repeat(random.pick([3, 300, 20_000])),
    ]);
    made = made.slice(0, at) + filling + made.slice(end);
    if (random.chance(0.05)) made = made.slice(0, random.below(made.length + 1));
  }
  return made;
}

/** Changes bytes in a few places; the first of a safetensors file are its header's length. */
export function mutateBytes(bytes: Uint8Array, random: Random): Uint8Array {
  let made = new Uint8Array(bytes);
  const changes = 1 + random.below(4);
  for (let i = 0; i < changes; i++) {
    const kind = random.next();
    const at = random.below(Math.max(1, random.chance(0.7) ? Math.min(made.length, 1200) : made.length));
    if (kind < 0.4 && made.length > 0)
      made[at] = random.chance(0.5) ? random.below(256) : made[at]! ^ (1 << random.below(8));
    else if (kind < 0.55) made = made.slice(0, at);
    else if (kind < 0.65) made = concatBytes([made, new Uint8Array(random.pick([1, 8, 1000]))]);
    else if (kind < 0.75) made = concatBytes([made.slice(0, at), made.slice(at + random.below(40))]);
    else if (kind < 0.85 && made.length >= 8) {
      const length = random.pick([
        0n,
        1n,
        2n ** 32n,
        2n ** 53n,
        2n ** 63n,
        2n ** 64n - 1n,
        BigInt(made.length),
        BigInt(random.below(2000)),
      ]);
      new DataView(made.buffer).setBigUint64(0, length, true);
    } else
      made = concatBytes([
        made.slice(0, at),
        new Uint8Array(random.below(40)).fill(random.below(256)),
        made.slice(at),
      ]);
  }
  return made;
}
