import { describe, expect, it } from "vitest";
import { load } from "../../inference/load.ts";
import { fileKind, packageFile } from "../../platform/index.ts";
import { fit as fitAxis } from "../axis/fit.ts";
import type { Run } from "../run/run.ts";
import { memoryStore } from "../run/store.ts";
import { collect } from "./collect.ts";

const there = (await fileKind(packageFile("models/capstan-tiny/model.safetensors"))) === "file";
if (!there) console.warn("skipped: collect on the embedded model, which is not in this checkout");

/** The fake model shows the arithmetic; this shows that the engine's means are those of the tokens. */
describe.skipIf(!there)("on the embedded model", () => {
  it("a second pass over the texts reads the activations of the first, whatever the batches", async () => {
    await using model = await load("capstan-tiny");
    const options = { limit: 2, max_tokens: 24, concurrency: 7 };
    const run = await collect(model, options);
    const lines: string[] = [];
    for await (const { activation: _, ...rest } of run.read()) lines.push(JSON.stringify(rest));
    const files = new Map([["responses.jsonl", new TextEncoder().encode(`${lines.join("\n")}\n`)]]);
    const again = await collect(model, { ...options, mode: "text", out: memoryStore(files) });
    const [made, read] = await Promise.all([activationsOf(run), activationsOf(again)]);
    let compared = 0;
    for (const [key, values] of made) {
      // A text may be tokenised otherwise than it was drawn; its tokens are then other tokens.
      if (run.responses.get(key)!.tokens !== again.responses.get(key)!.tokens) continue;
      expect(distance(values, read.get(key)!), key).toBeLessThan(1e-5);
      compared += 1;
    }
    expect(compared).toBeGreaterThan(0.9 * run.responses.size);
  });

  it("a run begun in one dtype is not continued in another, however it was named", async () => {
    const out = memoryStore();
    const options = { limit: 1, max_tokens: 4 };
    {
      await using model = await load("capstan-tiny");
      expect(model.device.dtype).toBe("bf16");
      expect((await collect(model, { ...options, out })).manifest.dtype).toBe("bf16");
    }
    {
      await using model = await load("capstan-tiny", { dtype: "f32" });
      await expect(collect(model, { ...options, out, limit: 2 })).rejects.toMatchObject({
        code: "bad_request",
        message: expect.stringContaining('need dtype "bf16", found "f32"'),
      });
    }
    await using model = await load("capstan-tiny", { dtype: "bf16" });
    const run = await collect(model, { ...options, out, limit: 2 });
    expect(run.responses.size).toBe(2 * Object.keys(run.manifest.roles).length);
  });

  it("fits from its own recipe, resumed in the middle, to the same axis", async () => {
    await using model = await load("capstan-tiny");
    const options = { limit: 4, max_tokens: 24, seed: 3 };
    const whole = await collect(model, options);
    const out = memoryStore();
    await collect(model, { ...options, out, limit: 2, concurrency: 3 });
    const parts = await collect(model, { ...options, out });
    const [a, b] = [await fitAxis(whole, { min_count: 2 }), await fitAxis(parts, { min_count: 2 })];
    expect(b.roles).toEqual(a.roles);
    expect(distance(a.data.axis, b.data.axis)).toBeLessThan(1e-5);
    expect(a.cos_pc1[a.target_layer]).toBeGreaterThan(0.5);
  });
});

async function activationsOf(run: Run): Promise<Map<string, Float32Array>> {
  const size = run.manifest.n_layers * run.manifest.d_model;
  const found = new Map<string, Float32Array>();
  for await (const { responses, data } of run.activations()) {
    for (const [i, { key }] of responses.entries()) found.set(key, data.slice(i * size, (i + 1) * size));
  }
  return found;
}

/** Relative L2 distance. */
function distance(a: Float32Array, b: Float32Array): number {
  let [difference, size] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    size += a[i]! ** 2;
  }
  return Math.sqrt(difference / size);
}
