import type { FileDtype, WeightSource, WeightTensor } from "./device.ts";
import { CapstanError, show } from "./errors.ts";
import type { TensorSpec } from "./spec.ts";

/** Bytes of an element. */
const SIZES: Record<FileDtype, number> = { F32: 4, F16: 2, BF16: 2 };

/**
 * A part of a weight as the program wants it: the tensor of the checkpoint with what its spec says already done to
 * it (turned, rows taken, a number added), readable by byte range. A device reads parts and never sees the file.
 *
 * What is only cut is read range by range; a transposed tensor, or a vector that is added to, is read whole once
 * and kept until the part is let go.
 *
 * @throws CapstanError `bad_weights` when the tensor is not as its spec says
 */
export function openPart(weights: WeightSource, spec: TensorSpec): WeightTensor {
  let tensor = checked(weights.tensor(spec.name), spec);
  if (spec.transposed) tensor = transposed(tensor);
  if (spec.rows !== undefined) tensor = rowsOf(tensor, spec.rows);
  if (spec.add !== undefined) tensor = added(tensor, spec.add);
  return tensor;
}

function checked(tensor: WeightTensor, spec: TensorSpec): WeightTensor {
  const size = SIZES[tensor.dtype];
  if (size === undefined) {
    throw bad(`${spec.name} as ${Object.keys(SIZES).join(", ")}`, show(tensor.dtype));
  }
  const bytes = spec.shape.reduce((product, n) => product * n, size);
  if (tensor.shape.join() === spec.shape.join() && tensor.byte_length === bytes) return tensor;
  throw bad(
    `${spec.name} [${spec.shape}] in ${bytes} bytes`,
    `[${tensor.shape}] in ${tensor.byte_length} bytes`,
  );
}

function rowsOf(tensor: WeightTensor, { start, end }: { start: number; end: number }): WeightTensor {
  const row = tensor.byte_length / tensor.shape[0]!;
  return {
    ...tensor,
    shape: [end - start, ...tensor.shape.slice(1)],
    byte_length: (end - start) * row,
    read: (from, to) => tensor.read(start * row + from, start * row + to),
  };
}

function transposed(tensor: WeightTensor): WeightTensor {
  const [height, width] = [tensor.shape[0]!, tensor.shape[1]!];
  const turn = async () => {
    const bytes = await tensor.read(0, tensor.byte_length);
    if (bytes.length !== tensor.byte_length) return bytes;
    const whole = bytes.slice();
    if (SIZES[tensor.dtype] === 2) return turned(new Uint16Array(whole.buffer), height, width);
    return turned(new Uint32Array(whole.buffer), height, width);
  };
  return { ...tensor, shape: [width, height], read: once(turn) };
}

function turned(from: Uint16Array | Uint32Array, height: number, width: number): Uint8Array {
  const to = from.slice();
  for (let row = 0; row < height; row++) {
    for (let col = 0; col < width; col++) to[col * height + row] = from[row * width + col]!;
  }
  return new Uint8Array(to.buffer);
}

/** The sum is taken in float64 and kept in float32, which holds every value of a file. */
function added(tensor: WeightTensor, add: number): WeightTensor {
  const sum = async () => {
    const values = toFloats(await tensor.read(0, tensor.byte_length), tensor.dtype);
    return new Uint8Array(values.map((value) => value + add).buffer);
  };
  const byte_length = (tensor.byte_length / SIZES[tensor.dtype]) * 4;
  return { ...tensor, dtype: "F32", byte_length, read: once(sum) };
}

/** Reads the whole once, at the first range asked for. */
function once(whole: () => Promise<Uint8Array>): WeightTensor["read"] {
  let bytes: Promise<Uint8Array> | undefined;
  return async (start, end) => {
    bytes ??= whole();
    return (await bytes).slice(start, end);
  };
}

/** Numbers of a file (little-endian) as float32, which holds them all exactly. */
export function toFloats(bytes: Uint8Array, dtype: FileDtype): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = SIZES[dtype];
  const values = new Float32Array(Math.floor(bytes.length / size));
  for (let i = 0; i < values.length; i++) values[i] = VALUES[dtype](view, i * size);
  return values;
}

const VALUES: Record<FileDtype, (view: DataView, at: number) => number> = {
  F32: (view, at) => view.getFloat32(at, true),
  F16: (view, at) => halfToNumber(view.getUint16(at, true)),
  BF16: (view, at) => bfloatToNumber(view.getUint16(at, true)),
};

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

function bad(need: string, found: string): CapstanError {
  return new CapstanError("bad_weights", { action: "load weights", need, found });
}
