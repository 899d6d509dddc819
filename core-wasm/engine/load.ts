import type { DeviceLoadOptions, FileDtype, StoredDtype, WeightSource } from "../../models/device.ts";
import {
  autoDtype,
  badElement,
  fileBytes,
  keptDtypes,
  knownDtype,
  type OpenWeight,
  openProgramWeights,
  readExactly,
  storedDtypes,
  streamParts,
  type WeightPart,
} from "../../models/load_weights.ts";
import type { Program, WeightSlot } from "../../models/program.ts";
import { BadElement, type Instance } from "./instance.ts";
import { PackedReader } from "./packed.ts";

/** Types that the engine stores matrices in. */
export const STORED_DTYPES = ["f32", "f16", "bf16", "q8", "q4"] as const satisfies readonly StoredDtype[];
type Stored = (typeof STORED_DTYPES)[number];

/** What the engine calls a file's dtypes. */
const CODES: Record<FileDtype, number> = { F32: 0, F16: 1, BF16: 2 };

/** Bytes read from a file at a time: few enough to add little to the weights' own. */
const LARGEST_CHUNK = 4 << 20;
const SMALLEST_CHUNK = 64 << 10;

/** Sizes of a model whose weights are allocated. */
export interface ModelSizes {
  block_size: number;
  weight_bytes: number;
  block_bytes: number;
  /** How the matrices are kept. */
  stored: StoredDtype[];
}

/** Allocates the program's weights and streams them in, each read once, converted on the way. */
export async function loadWeights(
  instance: Instance,
  program: Program,
  weights: WeightSource,
  options: DeviceLoadOptions,
): Promise<ModelSizes> {
  const open = openProgramWeights(program, weights);
  const dtype = knownDtype(options.dtype, STORED_DTYPES, "wasm");
  const ropes_by_length = options.ropes.flatMap(({ beyond }, rope) => (beyond === undefined ? [] : [rope]));
  const sizes = createModel(instance, { ...program, ropes_by_length }, open, dtype);
  const chunk_bytes = Math.min(LARGEST_CHUNK, Math.max(SMALLEST_CHUNK, fileBytes(open) >> 5));
  await streamParts(open, options, (part) => stream(instance, part, chunk_bytes, options.signal));
  instance.releaseInput("load weights");
  return sizes;
}

function createModel(
  instance: Instance,
  program: Program & { ropes_by_length: readonly number[] },
  weights: readonly OpenWeight[],
  dtype: Stored | "auto",
): ModelSizes {
  const kept = keptDtypes<Stored>(program);
  const matrices: { slot: WeightSlot; stored: Stored }[] = [];
  const described = weights.map((weight, id) => {
    const { slot } = weight;
    const { kind, count, rows, cols } = slot;
    if (kind === "vector") return { kind, count, rows, cols, stored: "f32" };
    const asked = dtype === "auto" ? autoDtype(weight) : dtype;
    const stored = kept(id, asked);
    if (stored === asked) matrices.push({ slot, stored });
    return { kind, count, rows, cols, stored };
  });
  const json = new TextEncoder().encode(JSON.stringify({ ...program, weights: described }));
  const length = instance.write("load weights", json);
  const packed = new PackedReader(instance.call("load weights", "create_model", length));
  const sizes = { block_size: packed.u32(), weight_bytes: packed.u32(), block_bytes: packed.u32() };
  return { ...sizes, stored: storedDtypes(matrices) };
}

/** Sends a part in chunks of whole rows; a vector's rows, to the engine, are of one element. */
async function stream(
  instance: Instance,
  { tensor, size, weight, slot, start }: WeightPart,
  chunk_bytes: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const cols = slot.kind === "matrix" ? slot.cols : 1;
  const row_bytes = cols * size;
  const rows = tensor.byte_length / row_bytes;
  const step = Math.max(1, Math.floor(chunk_bytes / row_bytes));
  for (let row = 0; row < rows; row += step) {
    const end = Math.min(rows, row + step);
    const bytes = await readExactly(tensor, row * row_bytes, end * row_bytes, signal);
    const length = instance.write("load weights", bytes);
    tensor.release?.(bytes);
    try {
      instance.call("load weights", "write_weights", length, weight, start / cols + row, CODES[tensor.dtype]);
    } catch (error) {
      if (!(error instanceof BadElement)) throw error;
      throw badElement(tensor, error.message, row * cols + error.index);
    }
  }
}
