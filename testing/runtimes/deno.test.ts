import { describe, expect, it } from "vitest";
import { lacks } from "../parts.ts";
import { denoRuntime } from "./runtimes.ts";
import { describeContract } from "./webgpu.ts";

describe.skipIf(lacks("vulkan"))("Deno, on lavapipe", () => {
  const { capstan } = denoRuntime();

  it("doctor names the software adapter, and auto leaves it alone", async () => {
    expect(JSON.parse(await capstan("doctor", "--json"))).toMatchObject({
      webgpu: {
        available: true,
        adapter: { name: expect.stringContaining("llvmpipe"), software: true, features: { f16: true } },
      },
      auto: { device: "wasm" },
    });
  });

  it("the command passes --device on", { timeout: 300_000 }, async () => {
    const generate = ["generate", "--prompt", "Who are you?", "--temperature", "0", "--max_tokens", "4"];
    const text = async (device: string) =>
      JSON.parse(await capstan(...generate, "--device", device, "--json")).text;
    expect(await text("webgpu")).toBe(await text("wasm"));
  });

  describeContract(denoRuntime);
});
