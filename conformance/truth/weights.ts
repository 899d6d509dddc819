import {
  abortedError,
  CapstanError,
  type DeviceLoadOptions,
  openPart,
  type Program,
  type TensorSpec,
  toFloats,
  type WeightSource,
} from "../../models/index.ts";
import { isQuantised, quantisedWeights, quantiseRows } from "./quantise.ts";

/** [rows, cols] row-major (a vector has one row), or several of these one after the other. Float32 holds every F32, F16 and BF16 value exactly. */
export interface Weight {
  rows: number;
  cols: number;
  data: Float32Array;
}

/**
 * Reads every weight of a program, its parts stacked on rows; with dtype q8 or q4, rounded as those are.
 *
 * @throws CapstanError `bad_weights` for a short read or a value that is not finite; `aborted`
 */
export async function loadWeights(
  program: Program,
  source: WeightSource,
  options: DeviceLoadOptions,
): Promise<Weight[]> {
  const total = sum(program.weights.flatMap(({ parts }) => parts.map((part) => bytesOf(source, part))));
  const { dtype } = options;
  const rounded = quantisedWeights(program);
  let done = 0;
  const weights: Weight[] = [];
  for (const [id, { count, rows, cols, parts }] of program.weights.entries()) {
    const weight = { rows, cols, data: new Float32Array(count * rows * cols) };
    let at = 0;
    for (const part of parts) {
      if (options.signal?.aborted) throw abortedError("load weights", options.signal);
      at += await readPart(source, part, weight.data.subarray(at));
      done += bytesOf(source, part);
      options.on_progress?.(done, total);
    }
    if (isQuantised(dtype) && rounded.has(id)) quantiseRows(weight.data, cols, dtype);
    weights.push(weight);
  }
  return weights;
}

/** Matrix `index` of a weight that is several. */
export function matrixOf({ rows, cols, data }: Weight, index: number): Weight {
  return { rows, cols, data: data.subarray(index * rows * cols, (index + 1) * rows * cols) };
}

function bytesOf(source: WeightSource, part: TensorSpec): number {
  return openPart(source, part).byte_length;
}

/** Fills the front of `into` with a part; the number of elements it had. */
async function readPart(source: WeightSource, part: TensorSpec, into: Float32Array): Promise<number> {
  const tensor = openPart(source, part);
  const values = toFloats(await tensor.read(0, tensor.byte_length), tensor.dtype);
  const count = tensor.shape.reduce((product, n) => product * n, 1);
  if (values.length !== count) throw bad(part.name, `${count} elements`, `${values.length}`);
  const strange = values.findIndex((value) => !Number.isFinite(value));
  if (strange >= 0) throw bad(part.name, "finite values", `${values[strange]} at element ${strange}`);
  into.set(values);
  return count;
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

function bad(name: string, need: string, found: string): CapstanError {
  return new CapstanError("bad_weights", { action: `load ${name}`, need, found });
}
