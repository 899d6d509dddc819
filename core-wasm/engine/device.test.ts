import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, describe, expect, it } from "vitest";
import { stepEntry } from "../../conformance/contract/entry.ts";
import { sampling } from "../../conformance/contract/params.ts";
import { Random } from "../../conformance/contract/random.ts";
import { randomFill, type Tiny, tiny } from "../../conformance/contract/tiny.ts";
import type { DeviceLoadOptions, DeviceModel, StepEntry, WeightSource } from "../../models/index.ts";
import { allSites, buildProgram, CapstanError, planHooks, readDecoder } from "../../models/index.ts";
import { createWasmDevice, engineUrl, loadEngine } from "../index.ts";
import { wasm_api } from "../webassembly.ts";
import { Instance } from "./instance.ts";

// The contract (conformance/contract) says what every device owes; here is what only this one promises.
const module = new wasm_api.Module(readFileSync(engineUrl()));
const engine = await loadEngine(module);
const device = createWasmDevice(engine);
afterAll(() => device.dispose());

/** Odd everywhere: no width is a multiple of 16, one is above a block of 256 columns. */
const ODD = {
  model_type: "llama",
  hidden_size: 42,
  num_attention_heads: 6,
  num_key_value_heads: 2,
  head_dim: 14,
  num_hidden_layers: 2,
  intermediate_size: 275,
  vocab_size: 133,
  max_position_embeddings: 512,
};
const odd = { F32: tiny("odd", "F32", ODD), F16: tiny("odd", "F16", ODD), BF16: tiny("odd", "BF16", ODD) };

function load(made: Tiny, changes: Partial<DeviceLoadOptions> = {}): Promise<DeviceModel> {
  const options = { dtype: "auto" as const, n_ctx: 512, ropes: made.decoder.spec.ropes, ...changes };
  return device.load(buildProgram(made.decoder), made.weights, options);
}

const SAMPLE = sampling({ temperature: 0.9, top_k: 40, top_p: 0.95, seed: [5, 6], draw: 3, top_logprobs: 2 });

async function entry(
  model: DeviceModel,
  tokens: Int32Array,
  changes: Partial<StepEntry> = {},
): Promise<StepEntry> {
  const end = (changes.position ?? 0) + tokens.length;
  const blocks = Int32Array.from(await model.allocBlocks(Math.ceil(end / model.block_size)));
  return stepEntry({ tokens, blocks, sample: SAMPLE, logits: "all", captures: [2, 4, 6, 9], ...changes });
}

async function code(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    return error instanceof CapstanError ? error.code : String(error);
  }
  return "no error";
}

describe.each(["F32", "F16", "BF16"] as const)("%s weights", (dtype) => {
  it("give an entry the same bits whatever else is in the batch", async () => {
    const model = await load(odd[dtype]);
    const random = new Random(1);
    const lengths = [1, 7, 1, 40, 2, 1, 19];
    const hooks = model.addHooks(
      planHooks(odd[dtype].decoder.spec, [
        { kind: "cap", site: "blocks.0.hook_resid_post", vector: random.vector(42), floor: 0.2 },
        { kind: "project", site: "blocks.1.hook_attn_out", vector: random.vector(42) },
      ]).hooks,
    );
    const making = lengths.map((length, i) =>
      entry(model, Int32Array.from(random.tokens(length, 133)), { hooks: i % 2 === 0 ? hooks : 0 }),
    );
    const entries = await Promise.all(making);
    const together = await model.step(entries);
    for (const [i, alone] of entries.entries()) expect([together[i]]).toEqual(await model.step([alone]));
    await model.dispose();
  });

  it("give a prompt the same bits whole, in chunks and token by token", async () => {
    const model = await load(odd[dtype]);
    const tokens = Int32Array.from(new Random(2).tokens(75, 133));
    const whole = (await model.step([await entry(model, tokens)]))[0]!;
    for (const size of [1, 2, 17, 32]) {
      const { blocks } = await entry(model, tokens);
      for (let at = 0; at < tokens.length; at += size) {
        const part = tokens.subarray(at, at + size);
        const [result] = await model.step([await entry(model, part, { position: at, blocks })]);
        const rows = (values: Float32Array, width: number) =>
          values.slice(at * width, (at + part.length) * width);
        expect(result!.logits).toEqual(rows(whole.logits!, 133));
        expect(result!.captures[3]).toEqual(rows(whole.captures[3]!, 42));
      }
    }
    await model.dispose();
  });
});

describe("weights", () => {
  it("converted to another type are those of a file in that type", async () => {
    const logits = async (made: Tiny, dtype: DeviceLoadOptions["dtype"]) => {
      const model = await load(made, { dtype });
      const [result] = await model.step([await entry(model, Int32Array.of(3, 1, 2))]);
      await model.dispose();
      return result!.logits;
    };
    // The narrower files hold values that every wider type holds exactly.
    expect(await logits(odd.BF16, "f32")).toEqual(await logits(odd.BF16, "auto"));
    expect(await logits(odd.F16, "f32")).toEqual(await logits(odd.F16, "auto"));
    expect(await logits(odd.F32, "bf16")).not.toEqual(await logits(odd.F32, "f32"));
  });

  it("too large for f16 are bad_weights, by tensor and element", async () => {
    const made = tiny("large", "F32", ODD, (spec, random) => {
      const values = randomFill(spec, random);
      if (spec.name === "model.layers.1.mlp.up_proj.weight") values[42 * 270 + 5] = 70_000;
      return values;
    });
    const failure = await load(made, { dtype: "f16" }).catch((error: CapstanError) => error.message);
    expect(failure).toContain("model.layers.1.mlp.up_proj.weight");
    expect(failure).toContain(`element ${42 * 270 + 5}`);
  });

  it("that no memory holds are out_of_memory before a byte is read", async () => {
    const decoder = readDecoder({ ...ODD, vocab_size: 2 ** 25 });
    const source: WeightSource = {
      parts: ({ parts }) =>
        parts.map(({ name, shape }) => {
          const byte_length = shape.reduce((product, size) => product * size, 4);
          return { name, dtype: "F32", shape, byte_length, read: () => Promise.reject(new Error("read")) };
        }),
    };
    const options = { dtype: "auto" as const, n_ctx: 8, ropes: decoder.spec.ropes };
    expect(await code(() => device.load(buildProgram(decoder), source, options))).toBe("out_of_memory");
  });
});

describe("memory", () => {
  /** Instances made while `work` runs, held weakly. */
  async function instancesOf<T>(work: () => Promise<T>) {
    const made: WeakRef<{ exports: unknown }>[] = [];
    const original = wasm_api.Instance;
    class Watched extends original {
      constructor(...args: ConstructorParameters<typeof original>) {
        super(...args);
        made.push(new WeakRef(this));
      }
    }
    const api = wasm_api as { Instance: typeof original };
    api.Instance = Watched;
    try {
      return { made, result: await work() };
    } finally {
      api.Instance = original;
    }
  }

  const sizes = { hidden_size: 512, intermediate_size: 2048, vocab_size: 20_000 };
  const flat = ({ shape }: { shape: number[] }) =>
    new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(0.01);
  const large = () => tiny("large enough to see", "BF16", { ...ODD, ...sizes }, flat);

  it("while loading is at most 1.1 times the weights", async () => {
    const made = large();
    const { made: instances, result: model } = await instancesOf(() => load(made));
    const { memory } = instances[0]!.deref()!.exports as { memory: { buffer: ArrayBuffer } };
    // The engine's own code and stack take a fixed 1.1 MiB beside the weights.
    expect(memory.buffer.byteLength - 1.2 * 2 ** 20).toBeLessThan(1.1 * model.memory.weight_bytes);
    await model.dispose();
  });

  it("goes with the model", async () => {
    const { made } = await instancesOf(async () => (await load(odd.F32)).dispose());
    setFlagsFromString("--expose-gc");
    const gc = runInNewContext("gc") as () => void;
    for (let tries = 0; tries < 50 && made[0]!.deref() !== undefined; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      gc();
    }
    expect(made[0]!.deref()).toBeUndefined();
  });

  it("of a load that failed goes too: the device loads again", async () => {
    const controller = new AbortController();
    controller.abort();
    expect(await code(() => load(odd.F32, { signal: controller.signal }))).toBe("aborted");
    await (await load(odd.F32)).dispose();
  });
});

describe("a hook", () => {
  it("at a site that the program does not pass is refused, not ignored", async () => {
    const model = await load(odd.F32);
    const direction = new Float32Array(42).fill(1);
    for (const site of [10, 77]) {
      expect(await code(() => model.addHooks([{ op: "project", site, direction, output: 0 }]))).toBe(
        "bad_request",
      );
      expect(await code(() => model.addAccumulator([site]))).toBe("bad_request");
    }
    expect(allSites(odd.F32.decoder.spec).length).toBe(10);
    await model.dispose();
  });

  it("whose vector is of another length is refused", async () => {
    const model = await load(odd.F32);
    for (const length of [41, 43]) {
      const direction = new Float32Array(length);
      expect(await code(() => model.addHooks([{ op: "project", site: 1, direction, output: 0 }]))).toBe(
        "bad_request",
      );
    }
    await model.dispose();
  });
});

describe("an engine that trapped", () => {
  it("says why once, and is lost after", async () => {
    const instance = new Instance(module);
    const call = () => instance.call("read a header", "parse_header", 10, 0);
    expect(() => call()).toThrow(/read a header.*range end index 10 out of range/);
    expect(await code(call)).toBe("device_lost");
    expect(await code(() => new Instance(module).call("read a header", "parse_header", 10, 0))).toBe(
      "internal",
    );
  });
});
