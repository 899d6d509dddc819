/** What families that are asked for often have and this runtime does not compute, by `model_type`. */
const LACKING: Record<string, string> = {
  apertus: "xIELU in its MLP",
  bitnet: "norms inside attention and MLP, and int8 activations",
  bloom: "ALiBi",
  deepseek_v2: "multi-head latent attention",
  deepseek_v3: "multi-head latent attention",
  ernie4_5_moe: "a selection bias in its router, and shared experts",
  falcon_h1: "Mamba 2 beside attention",
  falcon_mamba: "Mamba layers",
  gemma3n: "AltUp and Laurel",
  gemma4: "heads of two widths and shared KV",
  gemma4_text: "heads of two widths and shared KV",
  glm4_moe_lite: "multi-head latent attention",
  gpt_oss: "attention sinks",
  granite_swa: "attention sinks",
  granitemoe: "experts stacked in one tensor",
  hunyuan_v1_dense: "norms of q and k after rope",
  lfm2: "short convolutions",
  lfm2_moe: "short convolutions",
  lfm3: "short convolutions",
  mamba: "Mamba layers",
  mamba2: "Mamba 2 layers",
  nanochat: "norms of q and k after rope",
  nemotron_h: "Mamba 2 layers",
  olmo: "norms without weights",
  qwen2_moe: "a shared expert",
  qwen3_5: "gated delta-rule layers",
  qwen3_5_moe: "gated delta-rule layers",
  qwen3_next: "gated delta-rule layers",
  youtu: "multi-head latent attention",
};

/** ` (it has ...)` where it is known why a family is not run, else nothing. */
export function whyNotRun(model_type: unknown): string {
  const is_known = typeof model_type === "string" && Object.hasOwn(LACKING, model_type);
  return is_known ? ` (it has ${LACKING[model_type]}, not computed here)` : "";
}
