import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadOn } from "../../sdk/load.ts";
import type { Model } from "../../sdk/types.ts";
import { createTruthDevice } from "../truth/index.ts";
import { measureCapCost } from "./cap_cost.ts";
import { type BenchEngine, ourEngine } from "./engine.ts";
import { measure, median } from "./measure.ts";
import { SHAPE_134M, type Shape, writeShape } from "./shape.ts";

const small: Shape = {
  name: "small",
  seed: 3,
  config: {
    ...SHAPE_134M.config,
    hidden_size: 24,
    num_hidden_layers: 4,
    num_attention_heads: 2,
    num_key_value_heads: 2,
    intermediate_size: 32,
    vocab_size: 50,
  },
};

const signal = new AbortController().signal;
let folder: string;
let model: Model;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "capstan-bench-"));
  await writeShape(small, folder, () => {}, signal);
  model = await loadOn(folder, {}, async () => createTruthDevice());
});
afterAll(async () => {
  await model.dispose();
  rmSync(folder, { recursive: true });
});

describe("the shape", () => {
  it("has 134 million weights", () => {
    const c = SHAPE_134M.config as Record<string, number>;
    const layer = 4 * c.hidden_size! ** 2 + 3 * c.hidden_size! * c.intermediate_size!;
    const weights = c.num_hidden_layers! * layer + 2 * c.vocab_size! * c.hidden_size!;
    expect(Math.round(weights / 1e6)).toBe(134);
  });

  it("is a folder that loads and runs, and is left alone once whole", async () => {
    const { logits } = await model.forward([1, 2, 3], { logits: "last" });
    expect(logits.length).toBe(50);
    expect(logits.every(Number.isFinite)).toBe(true);
    const written = () => readdirSync(folder).map((file) => statSync(join(folder, file)).mtimeMs);
    const before = written();
    await writeShape(small, folder, () => expect.unreachable("nothing to write"), signal);
    expect(written()).toEqual(before);
  });
});

describe("measuring", () => {
  /** An engine that writes down its turns. */
  function fake(name: string, turns: string[], logit: number): BenchEngine {
    const logits = Float32Array.of(1, logit);
    return {
      name,
      async prompt(tokens) {
        turns.push(`${name} ${tokens.join()}`);
        await new Promise((resolve) => setTimeout(resolve, 2));
        return logits;
      },
      next: async () => logits,
      dispose: async () => {},
    };
  }

  it("goes turn by turn on the same tokens, and compares speeds and logits", async () => {
    const turns: string[] = [];
    const engines = [fake("first", turns, 1), fake("second", turns, 2)];
    const load = { n_prompt: 3, n_decode: 1, rounds: 2, d_vocab: 9 };
    const { speeds, logits_error } = await measure(engines, load, () => {}, signal);
    expect(turns.map((turn) => turn.split(" ")[0])).toEqual([
      "first",
      "second",
      "first",
      "second",
      "first",
      "second",
    ]);
    const tokens = turns.map((turn) => turn.split(" ")[1]);
    expect([tokens[0], tokens[2], tokens[4]]).toEqual([tokens[1], tokens[3], tokens[5]]);
    expect(new Set(tokens).size).toBe(3);
    expect(speeds.map(({ name }) => name)).toEqual(["first", "second"]);
    expect(speeds[0]!.tok_s.prefill).toBeGreaterThan(0);
    expect(logits_error).toEqual([0, Math.SQRT1_2]);
  });

  it("takes the median", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 9, 2])).toBe(3);
  });

  it("feeds our engine as a session would be fed", async () => {
    const engine = await ourEngine("capstan", model);
    await engine.prompt(Int32Array.of(9, 9));
    const [first, second] = [await engine.prompt(Int32Array.of(4, 5, 6)), await engine.next(7)];
    await engine.dispose();
    const { logits } = await model.forward([4, 5, 6, 7], { logits: "all" });
    expect([...first, ...second]).toEqual([...logits.subarray(100)]);
  });

  it("caps half the layers, and their cost is a ratio", async () => {
    const cost = await measureCapCost(model, { n_prefill: 3, n_decode: 5 }, signal);
    expect(cost.layers).toBe(2);
    for (const ratio of [cost.prefill_ratio, cost.decode_ratio]) {
      expect(ratio).toBeGreaterThan(0);
      expect(ratio).toBeLessThan(Infinity);
    }
  });
});
