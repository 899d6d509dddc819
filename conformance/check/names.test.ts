import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  decodeSafetensors,
  encodeSafetensors,
  type TensorData,
} from "../../sdk/checkpoint/safetensors/index.ts";
import { memorySource } from "../../sdk/checkpoint/source/index.ts";
import { checkCase } from "./index.ts";

/** Checkpoints whose tensors have other names than the reference was saved with: they are read alike. */
const PUBLISHED: [string, string, (name: string) => string][] = [
  ["gpt2", "without a prefix", (name) => name.replace(/^transformer\./, "")],
  [
    "gemma3-multimodal",
    "the text model within the model",
    (name) => name.replace(/^language_model\.model\./, "model.language_model."),
  ],
  ["qwen2", "a bare model's body", (name) => name.replace(/^model\./, "")],
];

test.each(PUBLISHED)("%s, %s", async (name, _, rename) => {
  const folder = join(import.meta.dirname, "..", "reference", name);
  const files: Record<string, Uint8Array> = {};
  for (const file of readdirSync(folder)) files[file] = readFileSync(join(folder, file));
  const { tensors } = decodeSafetensors(files["model.safetensors"]!);
  const renamed: Record<string, TensorData> = {};
  for (const [key, { dtype, shape, data }] of tensors) renamed[rename(key)] = { dtype, shape, data };
  expect(Object.keys(renamed).sort()).not.toEqual([...tensors.keys()].sort());
  files["model.safetensors"] = encodeSafetensors(renamed);
  const report = await checkCase(memorySource(files), { device: "wasm" });
  expect(report).toMatchObject({ case: name, passed: true });
});
