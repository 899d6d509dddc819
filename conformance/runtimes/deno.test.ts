import { describe } from "vitest";
import { lacks } from "../testing/parts.ts";
import { denoRuntime } from "../testing/runtimes.ts";
import { describeCases, describeContract } from "../testing/webgpu.ts";

describe.skipIf(lacks("vulkan"))("Deno, on lavapipe", () => {
  describeContract(denoRuntime);
  describeCases(denoRuntime, "f32");
  describeCases(denoRuntime, "f16");
});
