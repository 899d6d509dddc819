import { describe } from "vitest";
import { lacks } from "../testing/parts.ts";
import { nodeRuntime } from "../testing/runtimes.ts";
import { describeCases } from "../testing/webgpu.ts";

describe.skipIf(lacks("webgpu"))("Node, on SwiftShader", () => {
  describeCases(nodeRuntime, "f32");
});
