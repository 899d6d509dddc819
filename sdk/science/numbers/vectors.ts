/** Arithmetic on vectors, summed in f64 whatever they are stored in. Lengths must agree; nobody checks here. */

export type Vector = Float32Array | Float64Array;

/** <a, b> of vectors [n]. */
export function dot(a: Vector, b: Vector): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** Length of a vector [n]. */
export function norm(a: Vector): number {
  return Math.sqrt(dot(a, a));
}

/** The vector at length 1; zeros stay zeros. */
export function unit(a: Vector): Float64Array {
  const length = norm(a);
  return Float64Array.from(a, (x) => (length === 0 ? 0 : x / length));
}

/** Cosine of the angle between two vectors; 0 when either is all zeros. */
export function cosine(a: Vector, b: Vector): number {
  const lengths = norm(a) * norm(b);
  return lengths === 0 ? 0 : dot(a, b) / lengths;
}

/** a - b, [n]. */
export function subtract(a: Vector, b: Vector): Float64Array {
  return Float64Array.from(a, (x, i) => x - b[i]!);
}

/** Mean of vectors of one length, [n]. An empty list is the caller's mistake and gives an empty vector. */
export function meanOf(vectors: readonly Vector[]): Float64Array {
  const sum = new Float64Array(vectors[0]?.length ?? 0);
  for (const vector of vectors) for (let i = 0; i < sum.length; i++) sum[i]! += vector[i]!;
  return sum.map((x) => x / vectors.length);
}

/** Row `index` of a row-major matrix [n, width], as a view. */
export function row<T extends Vector>(matrix: T, index: number, width: number): T {
  return matrix.subarray(index * width, (index + 1) * width) as T;
}
