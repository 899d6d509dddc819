import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTruthDevice } from "../conformance/truth/index.ts";
import { loadOn } from "../sdk/inference/load.ts";
import type { Model } from "../sdk/types.ts";
import { lacks } from "../testing/parts.ts";
import { denoRuntime } from "../testing/runtimes/runtimes.ts";
import { measureCapCost } from "./cap_cost.ts";
import { measureColdStart, type StartUpProgram } from "./cold_start.ts";
import { type BenchEngine, ourEngine } from "./engine.ts";
import { measure } from "./measure.ts";
import { randomFolder } from "./random_folder.ts";
import { SHAPE_134M, SHAPE_TINY, type Shape, writeShape } from "./shape.ts";

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

describe("a folder of random weights that is made as it is read", () => {
  it("gives the same bytes in any pieces, and loads and runs", async () => {
    const folder = randomFolder(SHAPE_TINY);
    const size = (await folder.size("model.safetensors"))!;
    const whole = await folder.read("model.safetensors", 0, size);
    for (const [start, end] of [
      [0, 7],
      [5, 90_001],
      [1_000_001, 1_700_003],
      [size - 3, size],
    ] as const) {
      const piece = await folder.read("model.safetensors", start, end);
      expect(Buffer.compare(piece, whole.subarray(start, end))).toBe(0);
    }
    const random = await loadOn(folder, {}, async () => createTruthDevice());
    const { logits } = await random.forward([1, 2, 3], { logits: "last" });
    expect(logits.every(Number.isFinite)).toBe(true);
    expect(new Set(logits).size).toBeGreaterThan(1000);
    await random.dispose();
  });
});

describe.skipIf(lacks("vulkan") || lacks("deno"))("the bench of WebGPU", () => {
  it("tells adapter, counts, bandwidth and kernels of each dtype", { timeout: 300_000 }, async () => {
    const args = ["bench", "--device", "webgpu", "--shape", "tiny", "--dtype", "q8,q4", "--rounds", "1"];
    const found = JSON.parse(await denoRuntime().capstan(...args, "--json"));
    expect(found).toMatchObject({ shape: "tiny", adapter: { software: true }, work: { rounds: 1 } });
    expect(found.dtypes.map(({ dtype }: { dtype: string }) => dtype)).toEqual(["q8", "q4"]);
    for (const report of found.dtypes) {
      expect(report.per_token).toMatchObject({ submits: 1, writes: 1, readbacks: 1, readback_bytes: 8 });
      expect(report.caps).toMatchObject({ layers: 2, dispatches: 0 });
      const { prefill_tok_s, decode_tok_s, bandwidth, fraction_of_bandwidth, kernels } = report;
      for (const rate of [
        prefill_tok_s,
        decode_tok_s,
        bandwidth.read,
        bandwidth.copy,
        fraction_of_bandwidth,
      ]) {
        expect(rate).toBeGreaterThan(0);
      }
      const counted = kernels.decode.reduce((sum: number, { count }: { count: number }) => sum + count, 0);
      expect(counted).toBe(report.per_token.dispatches);
    }
    expect(found.dtypes[0].weight_bytes).toBeGreaterThan(1.1 * found.dtypes[1].weight_bytes);
  });

  it("refuses a shape or dtype that it does not know", async () => {
    await expect(denoRuntime().capstan("bench", "--device", "webgpu", "--dtype", "q5")).rejects.toThrow(
      /need dtype f32 or f16 or q8 or q4.*"q5"/,
    );
  });
});

describe("measuring", () => {
  /** An engine that writes down its turns. */
  function fake(name: string, turns: string[], logit: number): BenchEngine {
    const logits = Float32Array.of(1, logit);
    return {
      name,
      dtype: "f32",
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

  it("feeds our engine as a session would be fed", async () => {
    const engine = await ourEngine("capstan", "f32", model);
    await engine.prompt(Int32Array.of(9, 9));
    const [first, second] = [await engine.prompt(Int32Array.of(4, 5, 6)), await engine.next(7)];
    await engine.dispose();
    const { logits } = await model.forward([4, 5, 6, 7], { logits: "all" });
    expect([...first, ...second]).toEqual([...logits.subarray(100)]);
  });

  it("caps half the layers, and their cost is a ratio", async () => {
    const cost = await measureCapCost(model, { n_prefill: 3, n_decode: 5 }, signal);
    expect(cost.layers).toBe(2);
    for (const { low, median, high } of [cost.prefill, cost.decode]) {
      expect(low).toBeGreaterThan(0);
      expect(low).toBeLessThanOrEqual(median);
      expect(high).toBeGreaterThanOrEqual(median);
    }
  });
});

describe("cold start", () => {
  /** Processes by a clock that no process moves; the first of each is slow, as from a cold disk. */
  function fakeProcesses(times: Record<StartUpProgram, number[]>) {
    const order: StartUpProgram[] = [];
    const run = async (program: StartUpProgram) => {
      order.push(program);
      const elapsed_ms = times[program].shift()!;
      return { first_output_ms: elapsed_ms - 10, elapsed_ms };
    };
    return { run, order };
  }

  it("goes turn by turn, leaves the first turn out, and takes medians and the median of differences", async () => {
    const { run, order } = fakeProcesses({
      // The machine is slow in the third round: a difference of medians would be 30.
      empty: [900, 40, 41, 140],
      import: [900, 60, 71, 150],
      first_token: [900, 300, 200, 260],
    });
    const found = await measureColdStart(3, signal, run);
    expect(order).toEqual(Array.from({ length: 4 }, () => ["empty", "import", "first_token"]).flat());
    expect(found).toEqual({
      empty_ms: 41,
      import_ms: 71,
      import_beyond_empty_ms: 20,
      first_token_ms: 250,
      process_ms: 260,
      runs: 3,
    });
  });

  it("stops where it is aborted", async () => {
    const abort = new AbortController();
    const { run, order } = fakeProcesses({ empty: [1, 1], import: [1, 1], first_token: [1, 1] });
    const stopping = async (program: StartUpProgram) => {
      abort.abort(new Error("enough"));
      return await run(program);
    };
    await expect(measureColdStart(9, abort.signal, stopping)).rejects.toThrow("enough");
    expect(order.length).toBe(3);
  });
});
