import { itemAt } from "../../../models/certain.ts";
import {
  CapstanError,
  FILE_DTYPES,
  isFileDtype,
  readExactly,
  show,
  type TensorSpec,
  toFloats,
  type WeightSource,
  type WeightTensor,
} from "../../../models/index.ts";

/** The tensors of a checkpoint as its files have them, by name. */
export interface TensorSource {
  /** @throws CapstanError `bad_weights` for a name that is not there */
  tensor(name: string): WeightTensor;
}

/** What a device loads: each weight's parts out of a checkpoint's tensors, ready to store. Nothing is read yet. */
export function weightSource(tensors: TensorSource): WeightSource {
  return { parts: (slot) => slot.parts.map((spec) => openPart(tensors, spec)) };
}

/**
 * A part of a weight as the program wants it: the tensor of the checkpoint with what its spec says already done to
 * it (transposed, rows taken, a number added), readable by byte range. A device reads parts and never sees the file.
 *
 * What is only cut is read range by range; a transposed tensor, or a vector that is added to, is read whole once
 * and kept until the part is let go.
 *
 * @throws CapstanError `bad_weights` when the tensor is not as its spec says
 */
export function openPart(tensors: TensorSource, spec: TensorSpec): WeightTensor {
  let tensor = checked(tensors.tensor(spec.name), spec);
  if (spec.transposed) tensor = transposed(tensor);
  if (spec.rows !== undefined) tensor = rowsOf(tensor, spec.rows);
  if (spec.add !== undefined) tensor = added(tensor, spec.add);
  return tensor;
}

function checked(tensor: WeightTensor, spec: TensorSpec): WeightTensor {
  if (!isFileDtype(tensor.dtype)) {
    throw bad(`${spec.name} as ${Object.keys(FILE_DTYPES).join(", ")}`, show(tensor.dtype));
  }
  const bytes = spec.shape.reduce((product, n) => product * n, FILE_DTYPES[tensor.dtype].size);
  if (tensor.shape.join() === spec.shape.join() && tensor.byte_length === bytes) return tensor;
  throw bad(
    `${spec.name} [${spec.shape}] in ${bytes} bytes`,
    `[${tensor.shape}] in ${tensor.byte_length} bytes`,
  );
}

function rowsOf(tensor: WeightTensor, { start, end }: { start: number; end: number }): WeightTensor {
  const row = tensor.byte_length / itemAt(tensor.shape, 0);
  return {
    ...tensor,
    shape: [end - start, ...tensor.shape.slice(1)],
    byte_length: (end - start) * row,
    read: (from, to, into) => tensor.read(start * row + from, start * row + to, into),
  };
}

function transposed(tensor: WeightTensor): WeightTensor {
  const [height, width] = [itemAt(tensor.shape, 0), itemAt(tensor.shape, 1)];
  const whole_transposed = async () => {
    const whole = (await readExactly(tensor, 0, tensor.byte_length)).slice();
    if (FILE_DTYPES[tensor.dtype].size === 2) return transpose(new Uint16Array(whole.buffer), height, width);
    return transpose(new Uint32Array(whole.buffer), height, width);
  };
  return { ...tensor, shape: [width, height], read: once(whole_transposed) };
}

function transpose(from: Uint16Array | Uint32Array, height: number, width: number): Uint8Array {
  const to = from.slice();
  for (let row = 0; row < height; row++) {
    for (let col = 0; col < width; col++) to[col * height + row] = from[row * width + col]!;
  }
  return new Uint8Array(to.buffer);
}

/** The sum is taken in float64 and kept in float32, which holds every value of a file. */
function added(tensor: WeightTensor, add: number): WeightTensor {
  const sum = async () => {
    const values = toFloats(await readExactly(tensor, 0, tensor.byte_length), tensor.dtype);
    return new Uint8Array(values.map((value) => value + add).buffer);
  };
  const byte_length = (tensor.byte_length / FILE_DTYPES[tensor.dtype].size) * 4;
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

function bad(need: string, found: string): CapstanError {
  return new CapstanError("bad_weights", { action: "load weights", need, found });
}
