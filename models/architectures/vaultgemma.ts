import type { ConfigReader } from "../config.ts";
import type { Decoder } from "../spec.ts";
import { gemma2 } from "./gemma2.ts";

/** VaultGemma (`VaultGemmaForCausalLM`): Gemma 2 without the norms after attention and MLP. */
export function vaultGemma(config: ConfigReader): Decoder {
  const { spec, tensors } = gemma2(config);
  const layers = tensors.layers.map((layer) => ({ ...layer, attn_post_norm: null, mlp_post_norm: null }));
  return { spec: { ...spec, family: "vaultgemma" }, tensors: { ...tensors, layers } };
}
