import { itemAt } from "../../models/certain.ts";
import { Axis } from "../../sdk/science/axis/axis.ts";
import { pca } from "../../sdk/science/axis/pca.ts";
import { hashSeed, randomDirection, uniforms } from "../../sdk/science/numbers/random.ts";
import { dot, meanOf, row, subtract, unit } from "../../sdk/science/numbers/vectors.ts";

/** An axis with as many roles as asked for, in four groups by distance, for the tests of the plots. */
export function fakeAxis(n_roles: number, d_model = 32): Axis {
  const next = uniforms(3);
  const along = randomDirection(1, d_model);
  const groups = ["helper", "near", "middle", "far"];
  const vectors = new Float32Array(n_roles * d_model);
  for (let i = 0; i < n_roles; i++) {
    const d = 0.08 + 0.85 * (i / n_roles) ** 1.2 + 0.05 * next();
    const theme = randomDirection(hashSeed(2, String(i % 8)), d_model);
    vectors.set(
      along.map((x, k) => -40 * d * x + 5 * theme[k]!),
      i * d_model,
    );
  }
  const rows = Array.from({ length: n_roles }, (_, i) => row(vectors, i, d_model));
  const assistant = along.map((x) => -2 * x);
  const axis = Float32Array.from(subtract(assistant, meanOf(rows)));
  const space = pca(rows);
  const turned = dot(itemAt(space.components, 0), axis) < 0 ? -1 : 1;
  const kept = space.components.slice(0, 8);
  const components = new Float32Array(kept.length * d_model);
  for (const [k, component] of kept.entries()) {
    components.set(k === 0 ? component.map((x) => turned * x) : component, k * d_model);
  }
  const names = rows.map((_, i) => `${groups[Math.floor((4 * i) / n_roles)]}_role_${i}`);
  const direction = unit(axis);
  const projections = Float32Array.from(rows, (vector) => dot(vector, direction));
  return new Axis({
    model: { id: "capstan-tiny", digest: "sha256:0" },
    n_layers: 1,
    d_model,
    layers: [0],
    target_layer: 0,
    axis,
    default: assistant,
    roles: {
      names,
      groups: Object.fromEntries(names.map((name) => [name, name.replace(/_.*/, "")])),
      vectors,
      counts: {},
      left_out: {},
    },
    pca: {
      n_components: kept.length,
      scale_unit: false,
      components,
      mean: Float32Array.from(space.mean),
      explained: { data: Float32Array.from(space.explained), width: space.explained.length },
    },
    responses: { projections: { data: projections, n: n_roles }, role_index: new Int32Array(n_roles), names },
    controls: { seed: 0, directions: new Float32Array(0), percentiles: new Float32Array(0), n: 0 },
    cos_pc1: [0.84],
    dims70: [3],
    made: {
      min_count: 5,
      judge: "all",
      scores: { responses: 0, scored: 0, unscored: 0 },
      site: "hook_resid_post",
      sampling: { temperature: 0.7, top_p: 0.9, max_tokens: 48, samples: 1 },
      seed: 0,
      dtype: "f32",
    },
  });
}
