import { readdirSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { CONTRACT } from "../../conformance/contract/index.ts";
import { lacks } from "../../testing/parts.ts";
import { denoRuntime } from "../../testing/runtimes/runtimes.ts";
import type { TaskResult } from "../../testing/runtimes/tasks.ts";

/**
 * By folder, claims of the device contract that hold only where its kernels are right: few of them, so that a fault shows in
 * seconds. `testing/runtimes/deno.test.ts` runs them all.
 */
const CLAIMS: Readonly<Record<string, readonly string[]>> = {
  accumulate: ["means over spans at all sites, over steps and entries"],
  attention: [
    "a prompt of many tiles, then decode (qk-norm, sliding window on some layers, bf16)",
    "prompt in uneven chunks (norms after, softcaps, scaled embedding, windows, gelu_tanh, f32)",
  ],
  experts: ["step by step after a short prompt (experts, f32)"],
  matmul: ["a prompt of many tiles, then decode (odd sizes, biases, tied, one kv head, f32)"],
  norm: ["prefill: every site and all logits (norms after alone, norms of whole q and k, bf16)"],
  residual: ["every kind of hook at every residual site, last position of a call (gqa, f32)"],
  rope_append: [
    "step by step after a short prompt (q scaled by its position, f32)",
    "entries of one step turn by lengths of their own (dynamic rope, interleaved, f32)",
  ],
  sample: [
    "frequency_penalty counts the reply, not the prompt",
    "logprobs: none, the token's own, the likeliest",
    "top_k keeps the k likeliest",
    "top_p keeps the fewest that reach it, after temperature and top_k",
    "min_p is relative to the likeliest",
  ],
};
const only = Object.values(CLAIMS).flat();

it("every folder of kernels has claims, which are of the contract", () => {
  const entries = readdirSync(import.meta.dirname, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  expect(Object.keys(CLAIMS).sort()).toEqual(folders.sort());
  const names = CONTRACT.map(({ name }) => name);
  expect(only.filter((name) => !names.includes(name))).toEqual([]);
});

describe.skipIf(lacks("vulkan"))("kernels in Deno, on lavapipe", () => {
  let result: TaskResult<"contract">;
  beforeAll(async () => {
    await using deno = denoRuntime();
    result = await deno.run("contract", { device: "webgpu_as_hardware", only });
  }, 600_000);

  it.each(Object.entries(CLAIMS))("%s", (_, claims) => {
    for (const name of claims) expect(result.errors[name], name).toBe(null);
  });
});
