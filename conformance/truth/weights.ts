import {
  abortedError,
  CapstanError,
  type DeviceLoadOptions,
  type FileDtype,
  type Program,
  tensorSpecs,
  type WeightSlot,
  type WeightSource,
} from "../../models/index.ts";

/** [rows, cols] row-major (a vector has one row). Float32 holds every F32, F16 and BF16 value exactly. */
export interface Weight {
  rows: number;
  cols: number;
  data: Float32Array;
}

/** Bytes of one element, and its value. */
const FORMATS: Record<FileDtype, { bytes: number; value: (view: DataView, at: number) => number }> = {
  F32: { bytes: 4, value: (view, at) => view.getFloat32(at, true) },
  F16: { bytes: 2, value: (view, at) => halfToNumber(view.getUint16(at, true)) },
  BF16: { bytes: 2, value: (view, at) => bfloatToNumber(view.getUint16(at, true)) },
};

/**
 * Reads every weight of a program, its parts stacked on rows.
 *
 * @throws CapstanError `bad_weights` for a short read or a value that is not finite; `aborted`
 */
export async function loadWeights(
  program: Program,
  source: WeightSource,
  options: DeviceLoadOptions,
): Promise<Weight[]> {
  const total = tensorSpecs(program).reduce((sum, spec) => sum + source.tensor(spec.name).byte_length, 0);
  let done = 0;
  const weights: Weight[] = [];
  for (const slot of program.weights) {
    const weight = { rows: slot.rows, cols: slot.cols, data: new Float32Array(slot.rows * slot.cols) };
    let at = 0;
    for (const part of slot.parts) {
      if (options.signal?.aborted) throw abortedError("load weights", options.signal);
      at += await readPart(source, part, weight.data.subarray(at));
      done += source.tensor(part.name).byte_length;
      options.on_progress?.(done, total);
    }
    weights.push(weight);
  }
  return weights;
}

/** Fills the front of `into` with a tensor; the number of elements it had. */
async function readPart(
  source: WeightSource,
  part: WeightSlot["parts"][number],
  into: Float32Array,
): Promise<number> {
  const tensor = source.tensor(part.name);
  const count = part.shape.reduce((product, n) => product * n, 1);
  const format = FORMATS[tensor.dtype];
  const bytes = await tensor.read(0, tensor.byte_length);
  if (bytes.length !== count * format.bytes) {
    throw bad(part.name, `${count * format.bytes} bytes`, `${bytes.length}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < count; i++) {
    const value = format.value(view, i * format.bytes);
    if (!Number.isFinite(value)) throw bad(part.name, "finite values", `${value} at element ${i}`);
    into[i] = value;
  }
  return count;
}

function bad(name: string, need: string, found: string): CapstanError {
  return new CapstanError("bad_weights", { action: `load ${name}`, need, found });
}

/** IEEE binary16: 1 sign, 5 exponent, 10 fraction bits. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const word = new DataView(new ArrayBuffer(4));

/** bfloat16: the upper half of a float32. */
function bfloatToNumber(bits: number): number {
  word.setUint32(0, bits * 65536);
  return word.getFloat32(0);
}
