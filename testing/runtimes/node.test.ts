import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { lacks } from "../parts.ts";
import { buildDist, nodeRuntime, root } from "./runtimes.ts";
import { describeCases } from "./webgpu.ts";

/** Of each kind one: SwiftShader takes minutes for all of them (CONTRIBUTING has the command). */
const SAMPLE = [
  "llama-biases",
  "llama-f16",
  "llama-odd-sizes",
  "mistral-window",
  "phi3-longrope-long-4x",
  "qwen3-tied",
];

it("Node without the package webgpu says how to install it", { timeout: 300_000 }, () => {
  buildDist();
  const folder = mkdtempSync(join(tmpdir(), "capstan-no-webgpu-"));
  cpSync(join(root, "dist"), join(folder, "dist"), { recursive: true });
  const needed = "node_modules/@cfworker";
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(join(root, needed), join(folder, needed));
  const url = pathToFileURL(join(folder, "dist", "js", "index.js")).href;
  const model = JSON.stringify(join(root, "models", "capstan-tiny"));
  const code = `import(${JSON.stringify(url)})
    .then(({ load }) => load(${model}, { device: "webgpu" }))
    .catch((error) => console.log(error.message))`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
  rmSync(folder, { recursive: true });
  expect(stdout.trim()).toBe(
    "load a model on webgpu: need a runtime with WebGPU, found no package webgpu. Install it: npm install webgpu.",
  );
});

describe.skipIf(lacks("webgpu"))("Node, on SwiftShader", () => {
  it("doctor names the software adapter, and auto leaves it alone", async () => {
    expect(JSON.parse(await nodeRuntime().capstan("doctor", "--json"))).toMatchObject({
      webgpu: { available: true, adapter: { name: expect.stringContaining("SwiftShader"), software: true } },
      auto: { device: "wasm" },
    });
  });

  describeCases(nodeRuntime, "f32", SAMPLE);
});
