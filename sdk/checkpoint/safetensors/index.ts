/** Safetensors files, read and written whole or by byte range (`capstan/safetensors`). */
export type { Dtype } from "./dtypes.ts";
export {
  decodeSafetensors,
  type FileTensor,
  type HeaderCheck,
  openSafetensors,
  type Tensor,
} from "./read.ts";
export { encodeSafetensors, type TensorData } from "./write.ts";
