import { CapstanError, type RawConfig, show, type WeightTensor } from "../../../models/index.ts";
import { type Float8, float8Values } from "../safetensors/dtypes.ts";
import type { FileTensor } from "../safetensors/index.ts";
import { bytesOf, converted } from "./converted.ts";

/**
 * Weights of 8 bits, decoded on the way from the file to a device. A byte alone is exact in half precision; a byte
 * times its scale is a float32, rounded once. Devices then keep it as they were asked to.
 */

const DTYPES: readonly string[] = ["F8_E4M3", "F8_E5M2"] satisfies Float8[];
/** `weight_scale_inv` is DeepSeek's and Qwen's, `weight_scale` compressed-tensors'; both are multiplied. */
const SCALE_SUFFIXES = ["_scale_inv", "_scale"];
const SCALE_DTYPES = ["F32", "F16", "BF16", "F8_E8M0"];

export function isFloat8(dtype: string): boolean {
  return DTYPES.includes(dtype);
}

/** Names that the scales of a weight may have. */
export function scaleNames(weight: string): string[] {
  return SCALE_SUFFIXES.map((suffix) => weight + suffix);
}

/** The scales of a weight [rows, cols]: one for each block of `block_rows` x `block_cols`. */
interface ScaleGrid {
  tensor: FileTensor;
  block_rows: number;
  block_cols: number;
  grid_cols: number;
}

/**
 * @param tensor of F8_E4M3 or F8_E5M2
 * @param scale its scales, or undefined where the checkpoint has none
 * @param quantization `quantization_config` of config.json
 * @throws CapstanError `bad_weights` for scales that do not fit the weight, or that are missing where config.json
 *   says that the model was quantized
 */
export function decodeFloat8(
  tensor: FileTensor,
  scale: FileTensor | undefined,
  quantization: RawConfig | undefined,
  file: string,
): WeightTensor {
  const values = float8Values(tensor.dtype as Float8);
  if (scale === undefined) {
    if (quantization !== undefined)
      throw misfit(file, scaleNames(tensor.name).join(" or "), "no such tensor");
    const halves = Uint16Array.from(values, toHalf);
    const convert = (bytes: Uint8Array) => bytesOf(Uint16Array.from(bytes, (byte) => halves[byte]!));
    return converted(tensor, { size: 1, dtype: "F16", convert });
  }
  const grid = scaleGrid(tensor, scale, quantization, file);
  const cols = tensor.shape[1] ?? 1;
  let scales: Promise<Float32Array> | undefined;
  const convert = async (bytes: Uint8Array, first: number) => {
    scales ??= grid.tensor.float32();
    // Kept while the tensor is being read; the whole checkpoint's scales are not.
    const table = await scales;
    if (first + bytes.length === tensor.byte_length) scales = undefined;
    return bytesOf(applyScales(bytes, first, cols, values, grid, table));
  };
  return converted(tensor, { size: 1, dtype: "F32", convert });
}

/** bytes[i] is element `first + i` of a row-major matrix of `cols` columns. */
function applyScales(
  bytes: Uint8Array,
  first: number,
  cols: number,
  values: Float32Array,
  { block_rows, block_cols, grid_cols }: ScaleGrid,
  scales: Float32Array,
): Float32Array {
  const out = new Float32Array(bytes.length);
  for (let i = 0; i < bytes.length; ) {
    const row = Math.floor((first + i) / cols);
    const col = (first + i) % cols;
    const block = Math.floor(col / block_cols);
    const scale = scales[Math.floor(row / block_rows) * grid_cols + block]!;
    const end = Math.min(bytes.length, i + Math.min((block + 1) * block_cols, cols) - col);
    for (; i < end; i++) out[i] = values[bytes[i]!]! * scale;
  }
  return out;
}

/**
 * One scale for all ([], [1]), one a row ([rows], [rows, 1]), or a grid of blocks. Blocks have the size that
 * config.json gives; without one the grid divides the weight evenly, as transformers takes it.
 */
function scaleGrid(
  { name, shape }: FileTensor,
  tensor: FileTensor,
  quantization: RawConfig | undefined,
  file: string,
): ScaleGrid {
  const wrong = (need: string) => misfit(file, need, `${tensor.dtype} [${tensor.shape.join(", ")}]`);
  if (!SCALE_DTYPES.includes(tensor.dtype)) throw wrong(`${tensor.name} as ${SCALE_DTYPES.join(", ")}`);
  const [rows = 1, cols = 1] = shape;
  const [grid_rows = 1, grid_cols = 1] = tensor.shape;
  const block = quantization?.weight_block_size;
  const sizes = Array.isArray(block) && tensor.shape.length === 2 && grid_cols > 1 ? block : [];
  const fits = (grid: number, size: number) => (grid === 1 ? size : Math.ceil(size / grid));
  const block_rows = positive(sizes[0]) ?? fits(grid_rows, rows);
  const block_cols = positive(sizes[1]) ?? fits(grid_cols, cols);
  const is_whole = Math.ceil(rows / block_rows) === grid_rows && Math.ceil(cols / block_cols) === grid_cols;
  if (shape.length <= 2 && tensor.shape.length <= 2 && is_whole) {
    return { tensor, block_rows, block_cols, grid_cols };
  }
  throw wrong(
    `${tensor.name} with a scale for each block of ${name} [${shape.join(", ")}] (${show(block ?? null)})`,
  );
}

function positive(size: unknown): number | undefined {
  return typeof size === "number" && Number.isSafeInteger(size) && size > 0 ? size : undefined;
}

/** The half-precision bits of a value that half precision holds exactly, as it does every 8-bit float. */
function toHalf(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (size === Number.POSITIVE_INFINITY) return sign | 0x7c00;
  if (size < 2 ** -14) return sign | (size * 2 ** 24);
  const exponent = Math.floor(Math.log2(size));
  return sign | ((exponent + 15) << 10) | ((size / 2 ** exponent - 1) * 1024);
}

function misfit(file: string, need: string, found: string): CapstanError {
  return new CapstanError("bad_weights", { action: `load ${file}`, need, found });
}
