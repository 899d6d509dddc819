import { describe } from "vitest";
import { lacks } from "../parts.ts";
import { denoRuntime } from "./runtimes.ts";
import { describeCases } from "./webgpu.ts";

/** Experts and their router; learned positions and transposed matrices; softcaps and windows. */
const SAMPLE = ["qwen3-moe-raw", "gpt2", "gemma2-4x"];

// Against the truth with weights quantised alike. All cases: the command above the table in conformance/README.md.
describe.skipIf(lacks("vulkan"))("Deno, on lavapipe", () => {
  describeCases(denoRuntime, "q8", SAMPLE);
  describeCases(denoRuntime, "q4", SAMPLE, "webgpu_as_hardware");
});
