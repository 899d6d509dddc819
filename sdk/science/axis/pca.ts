import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import { itemAt } from "../../../models/certain.ts";
import { dot, meanOf, norm, subtract, type Vector } from "../numbers/vectors.ts";

/** Principal components of n vectors [d]. */
export interface Pca {
  /** What was subtracted from each vector first, [d]. */
  mean: Float64Array;
  /** Unit length, by falling variance, each [d]; at most n - 1, and none for variance that is numerical noise. */
  components: Float64Array[];
  /** Share of the whole variance that each component explains; sums to 1. Same order and number. */
  explained: number[];
  /** Coordinates of the vectors in the components: [n][components]. */
  loadings: number[][];
}

export interface PcaOptions {
  /** Centred vectors are brought to unit length before their components are sought. Default: false. */
  scale_unit?: boolean;
}

/**
 * PCA of few long vectors by their Gram matrix [n, n]: its eigenvectors give the loadings, and the vectors
 * combined by them the components (paper, section 2.2). Signs are arbitrary; the caller aligns them.
 */
export function pca(vectors: readonly Vector[], options: PcaOptions = {}): Pca {
  const mean = meanOf(vectors);
  let rows = vectors.map((vector) => subtract(vector, mean));
  if (options.scale_unit) {
    const scaled = rows.map((vector) => vector.map((x) => x / Math.max(norm(vector), 1e-12)));
    const offset = meanOf(scaled);
    rows = scaled.map((vector) => subtract(vector, offset));
  }
  const pairs = eigen(gram(rows));
  const total = pairs.reduce((sum, { value }) => sum + value, 0);
  const least = 1e-12 * (pairs[0]?.value ?? 0);
  const kept = pairs.filter(({ value }, k) => k < rows.length - 1 && value > least);
  return {
    mean,
    components: kept.map(({ value, vector }) => combine(rows, vector, 1 / Math.sqrt(value))),
    explained: kept.map(({ value }) => value / total),
    loadings: rows.map((_, i) => kept.map(({ value, vector }) => itemAt(vector, i) * Math.sqrt(value))),
  };
}

/** How many leading components reach `share` of the variance. */
export function dimensionsFor(explained: readonly number[], share: number): number {
  let sum = 0;
  const at = explained.findIndex((value) => {
    sum += value;
    return sum >= share - 1e-12;
  });
  return at < 0 ? explained.length : at + 1;
}

function gram(rows: readonly Float64Array[]): Matrix {
  const matrix = Matrix.zeros(rows.length, rows.length);
  for (const [i, one] of rows.entries()) {
    for (const [j, other] of rows.slice(0, i + 1).entries()) {
      const value = dot(one, other);
      matrix.set(i, j, value);
      matrix.set(j, i, value);
    }
  }
  return matrix;
}

/** Eigenvalues by falling size, none below 0, and their unit eigenvectors. */
function eigen(matrix: Matrix): { value: number; vector: number[] }[] {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(matrix, {
    assumeSymmetric: true,
  });
  return realEigenvalues
    .map((value, i) => ({ value, vector: eigenvectorMatrix.getColumn(i) }))
    .sort((a, b) => b.value - a.value)
    .map(({ value, vector }) => ({ value: Math.max(0, value), vector }));
}

function combine(rows: readonly Float64Array[], weights: readonly number[], scale: number): Float64Array {
  const sum = new Float64Array(itemAt(rows, 0).length);
  for (const [i, vector] of rows.entries()) {
    const weight = itemAt(weights, i) * scale;
    for (let d = 0; d < sum.length; d++) sum[d]! += vector[d]! * weight;
  }
  return sum;
}
