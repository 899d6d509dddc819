import { describe } from "vitest";
import { CASES } from "../cases.ts";
import { lacks } from "../parts.ts";
import { denoRuntime } from "./runtimes.ts";
import { describeCases } from "./webgpu.ts";

// In a file of its own, to run beside the others: Deno's GPU waits more than it works.
describe.skipIf(lacks("vulkan"))("Deno, on lavapipe", () => {
  describeCases(denoRuntime, "f16", CASES, "webgpu_as_hardware");
});
