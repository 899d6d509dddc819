import type { WeightTensor } from "../../../models/index.ts";
import type { FileTensor } from "../safetensors/index.ts";

/** How elements of another dtype become what devices read. */
export interface Conversion {
  /** Bytes of an element in the file. */
  size: number;
  dtype: "F16" | "F32";
  /** Whole elements of the file as whole elements of `dtype`; `first` counts within the tensor. */
  convert(bytes: Uint8Array, first: number): Uint8Array | Promise<Uint8Array>;
}

/** A tensor given in another dtype, converted on the way from the file to a device. */
export function converted(tensor: FileTensor, { size, dtype, convert }: Conversion): WeightTensor {
  const out = dtype === "F16" ? 2 : 4;
  return {
    name: tensor.name,
    dtype,
    shape: tensor.shape,
    byte_length: (tensor.byte_length / size) * out,
    async read(start, end) {
      const first = Math.floor(start / out);
      const bytes = await convert(await tensor.read(first * size, Math.ceil(end / out) * size), first);
      return bytes.subarray(start - first * out, end - first * out);
    },
  };
}

export function bytesOf(view: Uint16Array | Float32Array): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
