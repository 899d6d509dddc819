import { describe } from "vitest";
import { CASES } from "../testing/cases.ts";
import { lacks } from "../testing/parts.ts";
import { denoRuntime } from "../testing/runtimes.ts";
import { describeCases } from "../testing/webgpu.ts";

// In a file of its own, to run beside the others: Deno's GPU waits more than it works.
describe.skipIf(lacks("vulkan"))("Deno, on lavapipe", () => {
  describeCases(denoRuntime, "f16", CASES, "webgpu_as_hardware");
});
