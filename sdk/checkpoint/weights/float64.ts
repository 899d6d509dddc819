import { CapstanError, type WeightTensor } from "../../../models/index.ts";
import type { FileTensor } from "../safetensors/index.ts";
import { bytesOf, converted } from "./converted.ts";

/** From here on a double rounds to a float32 infinity: half a step above the largest float32. */
const BEYOND_FLOAT32 = 2 ** 128 - 2 ** 103;

/**
 * Weights of 64 bits as float32, rounded to the nearest once.
 *
 * @throws CapstanError `bad_weights` while it is read, for a finite value that float32 does not reach
 */
export function decodeFloat64(tensor: FileTensor, file: string): WeightTensor {
  const convert = (bytes: Uint8Array, first: number) => {
    const values = new Float64Array(new Uint8Array(bytes).buffer);
    const wide = values.findIndex((value) => Math.abs(value) >= BEYOND_FLOAT32 && Number.isFinite(value));
    if (wide < 0) return bytesOf(Float32Array.from(values));
    throw new CapstanError("bad_weights", {
      action: `load ${file}`,
      need: `${tensor.name} within the range of float32`,
      found: `${values[wide]} at element ${first + wide}`,
    });
  };
  return converted(tensor, { size: 8, dtype: "F32", convert });
}
