import { describe, expect, it } from "vitest";
import { lacks } from "../testing/parts.ts";
import { nodeRuntime } from "../testing/runtimes.ts";
import { describeCases } from "../testing/webgpu.ts";

/** Of each kind one: SwiftShader takes minutes for all of them (CONTRIBUTING has the command). */
const SAMPLE = [
  "llama-biases",
  "llama-f16",
  "llama-odd-sizes",
  "mistral-window",
  "phi3-longrope-long-4x",
  "qwen3-tied",
];

describe.skipIf(lacks("webgpu"))("Node, on SwiftShader", () => {
  it("doctor names the software adapter, and auto leaves it alone", async () => {
    expect(JSON.parse(await nodeRuntime().capstan("doctor", "--json"))).toMatchObject({
      webgpu: { available: true, adapter: { name: expect.stringContaining("SwiftShader"), software: true } },
      auto: { device: "wasm" },
    });
  });

  describeCases(nodeRuntime, "f32", SAMPLE);
});
