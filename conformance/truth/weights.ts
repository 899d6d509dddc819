import { itemAt } from "../../models/certain.ts";
import {
  badElement,
  type DeviceLoadOptions,
  isQuantised,
  keptDtypes,
  openProgramWeights,
  type Program,
  readExactly,
  streamParts,
  toFloats,
  type WeightSource,
} from "../../models/index.ts";
import { quantiseRows } from "./quantise.ts";

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
  const { dtype } = options;
  const kept = keptDtypes(program);
  const open = openProgramWeights(program, source);
  const weights = program.weights.map(({ count, rows, cols }): Weight => {
    return { rows, cols, data: new Float32Array(count * rows * cols) };
  });
  await streamParts(open, options, async ({ tensor, weight, slot, start }) => {
    const bytes = await readExactly(tensor, 0, tensor.byte_length, options.signal);
    const values = toFloats(bytes, tensor.dtype);
    const strange = values.findIndex((value) => !Number.isFinite(value));
    if (strange >= 0) throw badElement(tensor, `${values[strange]}`, strange);
    const stored = slot.kind === "vector" || dtype === "auto" ? "f32" : kept(weight, dtype);
    if (isQuantised(stored)) quantiseRows(values, slot.cols, stored);
    itemAt(weights, weight).data.set(values, start);
  });
  return weights;
}

/** Matrix `index` of a weight that is several. */
export function matrixOf({ rows, cols, data }: Weight, index: number): Weight {
  return { rows, cols, data: data.subarray(index * rows * cols, (index + 1) * rows * cols) };
}
