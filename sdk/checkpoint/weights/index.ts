/** A model's config and weights, checked before they are used. */
export { readDefaults, readModelConfig, type SamplingDefaults } from "./config.ts";
export { type OpenDecoder, openDecoder } from "./decoder.ts";
export { modelDigest } from "./digest.ts";
export { findWeightFiles, type WeightFiles } from "./files.ts";
export { type TensorSource, weightSource } from "./part.ts";
export { openWeights } from "./weights.ts";
