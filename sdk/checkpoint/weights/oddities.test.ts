import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { load } from "../../inference/load.ts";
import { decodeSafetensors } from "../safetensors/index.ts";
import { memorySource } from "../source/index.ts";
import { type Oddity, oddFiles } from "./fixtures/oddities.ts";

const CASES = join(import.meta.dirname, "..", "..", "..", "conformance", "reference");
const file = process.env.CAPSTAN_ODDITIES ?? join(import.meta.dirname, "fixtures", "oddities.jsonl");
const ODDITIES: Oddity[] = readFileSync(file, "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line));

function tokensOf(name: string): number[] {
  const { tensors } = decodeSafetensors(readFileSync(join(CASES, name, "sites.safetensors")));
  return Array.from(new BigInt64Array(new Uint8Array(tensors.get("tokens")!.data).buffer), Number);
}

async function logitsOf(oddity: Oddity): Promise<Float32Array> {
  await using model = await load(memorySource(oddFiles(CASES, oddity)), { device: "wasm" });
  return (await model.forward(tokensOf(oddity.case), { logits: "last" })).logits;
}

const as_it_is = new Map<string, Promise<Float32Array>>();
function unchanged(name: string): Promise<Float32Array> {
  const known = as_it_is.get(name) ?? logitsOf({ seed: -1, case: name });
  as_it_is.set(name, known);
  return known;
}

describe("what transformers loads, loads", () => {
  test.each(ODDITIES.map((oddity) => [oddity.seed, oddity] as const))("input %i", async (_, oddity) => {
    const got = await logitsOf(oddity);
    if (oddity.last === undefined) expect(got).toEqual(await unchanged(oddity.case));
    else expect(Math.max(...oddity.last.map((x, i) => Math.abs(x - got[i]!)))).toBeLessThan(1e-3);
  });
});
