import { type Check, CONTRACT } from "./index.ts";
import { TINIES } from "./tiny.ts";

const of = (...indices: number[]) =>
  Object.fromEntries(indices.map((index) => [TINIES[index]!.name, "op to come"]));

/** Models whose ops a device does not run yet, by device: why claims over them are not held, by the model's name. */
export const COMING: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  webgpu: of(4, 6, 7, 8, 9, 10, 11, 12, 13),
};

/** Reference cases of such models. */
export const COMING_CASES: Readonly<Record<string, readonly string[]>> = {
  webgpu: [
    "cohere",
    "cohere-qk-norm",
    "cohere2",
    "gemma",
    "gemma2",
    "gemma2-4x",
    "gemma3",
    "gemma3-4x",
    "gemma3-multimodal",
    "gpt-neox",
    "gpt-neox-sequential",
    "gpt2",
    "granite",
    "mixtral",
    "olmo2",
    "olmo3",
    "qwen3-moe-mixed",
    "qwen3-moe-raw",
    "starcoder2",
  ],
};

/** The claims that a device is held to. */
export function claimsOn(device: string): readonly Check[] {
  return CONTRACT.filter((check) => !("tiny" in check && check.tiny.name in (COMING[device] ?? {})));
}
