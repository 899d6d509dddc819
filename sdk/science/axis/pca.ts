import { EigenvalueDecomposition, Matrix } from "ml-matrix";
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
  const { values, vectors: eigenvectors } = eigen(gram(rows));
  const total = values.reduce((sum, value) => sum + value, 0);
  const kept = values.filter((value, k) => k < rows.length - 1 && value > 1e-12 * values[0]!).length;
  const scales = values.slice(0, kept).map(Math.sqrt);
  return {
    mean,
    components: scales.map((scale, k) => combine(rows, eigenvectors[k]!, 1 / scale)),
    explained: values.slice(0, kept).map((value) => value / total),
    loadings: rows.map((_, i) => scales.map((scale, k) => eigenvectors[k]![i]! * scale)),
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
  for (let i = 0; i < rows.length; i++) {
    for (let j = 0; j <= i; j++) {
      const value = dot(rows[i]!, rows[j]!);
      matrix.set(i, j, value);
      matrix.set(j, i, value);
    }
  }
  return matrix;
}

/** Eigenvalues by falling size, none below 0, and their unit eigenvectors. */
function eigen(matrix: Matrix): { values: number[]; vectors: number[][] } {
  const result = new EigenvalueDecomposition(matrix, { assumeSymmetric: true });
  const order = result.realEigenvalues.map((_, i) => i);
  order.sort((a, b) => result.realEigenvalues[b]! - result.realEigenvalues[a]!);
  return {
    values: order.map((i) => Math.max(0, result.realEigenvalues[i]!)),
    vectors: order.map((i) => result.eigenvectorMatrix.getColumn(i)),
  };
}

function combine(rows: readonly Float64Array[], weights: readonly number[], scale: number): Float64Array {
  const sum = new Float64Array(rows[0]!.length);
  for (const [i, vector] of rows.entries()) {
    const weight = weights[i]! * scale;
    for (let d = 0; d < sum.length; d++) sum[d]! += vector[d]! * weight;
  }
  return sum;
}
