import { describe, expect, it } from "vitest";
import { createWasmDevice } from "../../core-wasm/index.ts";
import { buildProgram, type Device, readDecoder } from "../../models/index.ts";
import { engine } from "../platform/engine.ts";
import { loadOn } from "./load.ts";
import { smallStep } from "./step_size.ts";

const CONFIG = {
  model_type: "llama",
  hidden_size: 100,
  num_hidden_layers: 10,
  num_attention_heads: 10,
  intermediate_size: 200,
  vocab_size: 1000,
};
const stepOf = (changes: Record<string, unknown> = {}) =>
  smallStep(buildProgram(readDecoder({ ...CONFIG, ...changes })));

describe("a small step", () => {
  it("has the tokens whose products take a thread some 40 ms", () => {
    // A layer: q, k, v and o of [100, 100], gate, up and down of [100, 200].
    const products = 10 * (4 * 100 * 100 + 3 * 100 * 200);
    expect(stepOf()).toBe(Math.floor(0.4e9 / products));
    // The embedding is looked up, and the head works on last tokens.
    expect(stepOf({ vocab_size: 100_000 })).toBe(stepOf());
  });

  it("counts of the experts those that a token passes, and their router", () => {
    const experts = { num_local_experts: 8, num_experts_per_tok: 2, num_key_value_heads: 10 };
    const products = 10 * (4 * 100 * 100 + 8 * 100 + 2 * 3 * 100 * 200);
    expect(stepOf({ model_type: "mixtral", ...experts })).toBe(Math.floor(0.4e9 / products));
  });

  it("is never so small that the weights' way through memory is all it costs", () => {
    expect(stepOf({ hidden_size: 4000, intermediate_size: 16_000 })).toBe(8);
  });
});

describe("a long prompt", () => {
  /** Most tokens of a step while 400 are read, on a device of this kind. */
  async function largest(
    worker: boolean | undefined,
    change: (device: Device) => Partial<Device> = () => ({}),
  ) {
    const sizes: number[] = [];
    const open = async () => {
      const device = createWasmDevice(await engine());
      const load: Device["load"] = async (...of) => {
        const model = await device.load(...of);
        const step = model.step.bind(model);
        return Object.assign(model, {
          step: (batch: Parameters<typeof step>[0]) => {
            sizes.push(batch.reduce((sum, { tokens }) => sum + tokens.length, 0));
            return step(batch);
          },
        });
      };
      const { kind, description, dtypes, blocks_thread } = device;
      const own = { kind, description, dtypes, load, dispose: () => device.dispose() };
      return { ...own, ...(blocks_thread === undefined ? {} : { blocks_thread }), ...change(device) };
    };
    await using model = await loadOn("capstan-tiny", worker === undefined ? {} : { worker }, open);
    const { logits } = await model.forward(new Array(400).fill(300));
    return { most: Math.max(...sizes), logits: Buffer.from(logits.buffer).toString("base64") };
  }

  it("is cut small on the calling thread, and not where that was asked for, or where nothing is held up", async () => {
    const { logits, most } = await largest(undefined);
    expect(most).toBeLessThan(200);
    expect(await largest(false)).toEqual({ most: 400, logits });
    expect(await largest(undefined, () => ({ blocks_thread: false }))).toEqual({ most: 400, logits });
  });
});
