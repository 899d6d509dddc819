import { describe, expect, it } from "vitest";
import { lacks } from "../testing/parts.ts";
import { denoRuntime } from "../testing/runtimes.ts";
import { describeCases, describeContract } from "../testing/webgpu.ts";

describe.skipIf(lacks("vulkan"))("Deno, on lavapipe", () => {
  const { capstan } = denoRuntime();

  it("doctor names the software adapter, and auto leaves it alone", async () => {
    expect(await capstan("doctor")).toMatchObject({
      webgpu: {
        available: true,
        adapter: { name: expect.stringContaining("llvmpipe"), software: true, features: { f16: true } },
      },
      auto: { device: "wasm" },
    });
  });

  it("the command passes --device on", async () => {
    const generate = ["generate", "--prompt", "Who are you?", "--temperature", "0", "--max_tokens", "4"];
    const on_webgpu = await capstan(...generate, "--device", "webgpu");
    const on_wasm = await capstan(...generate, "--device", "wasm");
    expect(on_webgpu).toMatchObject({ text: (on_wasm as { text: string }).text });
  });

  describeContract(denoRuntime);
  describeCases(denoRuntime, "f32");
  describeCases(denoRuntime, "f16");
});
