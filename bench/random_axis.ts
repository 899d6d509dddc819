import { Random } from "../conformance/contract/random.ts";
import { Axis } from "../sdk/science/index.ts";
import type { Model } from "../sdk/types.ts";

/** An axis of random directions that fits a model: what reading it costs is what reading a fitted one costs. */
export function randomAxis({ id, digest, spec }: Model): Axis {
  const { n_layers, d_model } = spec;
  const random = new Random(11);
  const layers = Array.from({ length: n_layers }, (_, layer) => layer);
  const size = n_layers * d_model;
  const ones = layers.map(() => 1);
  return new Axis({
    model: { id, digest },
    n_layers,
    d_model,
    layers,
    target_layer: Math.floor(n_layers / 2),
    axis: random.vector(size),
    default: random.vector(size),
    roles: { names: ["random"], groups: {}, vectors: random.vector(size), counts: {}, left_out: {} },
    pca: {
      n_components: 1,
      scale_unit: false,
      components: random.vector(size),
      mean: random.vector(size),
      explained: { data: Float32Array.from(ones), width: 1 },
    },
    responses: {
      projections: { data: random.vector(n_layers), n: 1 },
      role_index: Int32Array.of(0),
      names: ["random"],
    },
    controls: { seed: 0, directions: new Float32Array(0), percentiles: new Float32Array(0), n: 0 },
    cos_pc1: ones,
    dims70: ones,
    made: {
      min_count: 1,
      judge: null,
      scores: { responses: 1, scored: 0, unscored: 1 },
      site: "hook_resid_post",
      sampling: { temperature: 0, top_p: 1, max_tokens: 1, samples: 1 },
      seed: 11,
      dtype: "f32",
    },
  });
}
