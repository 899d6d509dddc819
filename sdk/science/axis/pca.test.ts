import { describe, expect, it } from "vitest";
import { dot, norm } from "../numbers/vectors.ts";
import { dimensionsFor, pca } from "./pca.ts";

/** Values of numpy.linalg.svd over the centred rows. */
const ROWS = [
  [1, 2, 0, 4, 1],
  [3, 1, 1, 0, 2],
  [0, 5, 2, 2, 2],
  [4, 4, 1, 1, 0],
].map((values) => Float32Array.from(values));
const EXPLAINED = [0.503261728337984, 0.31011799833687675, 0.18662027332513925];
const FIRST = [
  -0.7158362586470329, 0.4069272851084918, 0.06218801017143416, 0.5553993530616583, 0.09824889541394032,
];
const EXPLAINED_UNIT = [0.49428989922140326, 0.3131813688741168, 0.19252873190448];

describe("pca", () => {
  it("agrees with a singular value decomposition", () => {
    const { explained, components, loadings, mean } = pca(ROWS);
    expect(explained).toHaveLength(3);
    for (const [k, share] of EXPLAINED.entries()) expect(explained[k]).toBeCloseTo(share, 12);
    expect(Math.abs(dot(components[0]!, Float64Array.from(FIRST)))).toBeCloseTo(1, 12);
    for (const [i, component] of components.entries()) {
      expect(norm(component)).toBeCloseTo(1, 12);
      for (const other of components.slice(0, i)) expect(dot(component, other)).toBeCloseTo(0, 12);
    }
    for (const [i, vector] of ROWS.entries()) {
      const centred = Float64Array.from(vector, (x, d) => x - mean[d]!);
      for (const [k, component] of components.entries()) {
        expect(loadings[i]![k]).toBeCloseTo(dot(centred, component), 10);
      }
    }
  });

  it("brings centred vectors to unit length when asked to", () => {
    const { explained } = pca(ROWS, { scale_unit: true });
    for (const [k, share] of EXPLAINED_UNIT.entries()) expect(explained[k]).toBeCloseTo(share, 12);
  });

  it("drops components that are only rounding", () => {
    const line = [0, 1, 2, 5].map((t) => Float64Array.of(1 + t, 2 - 3 * t, 0.5 * t));
    const { explained, components } = pca(line);
    expect(explained).toEqual([1]);
    expect(components).toHaveLength(1);
    expect(pca([ROWS[0]!, ROWS[0]!]).components).toHaveLength(0);
  });
});

describe("dimensionsFor", () => {
  it("counts the components that reach a share", () => {
    expect(dimensionsFor([0.5, 0.2, 0.2, 0.1], 0.7)).toBe(2);
    expect(dimensionsFor([0.5, 0.19, 0.21, 0.1], 0.7)).toBe(3);
    expect(dimensionsFor([1], 0.7)).toBe(1);
  });
});
