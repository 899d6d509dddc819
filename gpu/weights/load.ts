import type {
  DeviceLoadOptions,
  FileDtype,
  StoredDtype,
  WeightSource,
  WeightTensor,
} from "../../models/device.ts";
import { abortedError, CapstanError, show } from "../../models/errors.ts";
import { openPart } from "../../models/part.ts";
import type { Program, WeightId, WeightSlot } from "../../models/program.ts";
import { padded, USAGE } from "../constants.ts";
import { type Gpu, mebibytes, outOfMemory } from "../context.ts";
import type { Readback } from "../readback.ts";
import { Converter } from "./converter.ts";
import { type Chunk, cutRows, rowWords, type StoredMatrix } from "./layout.ts";

/** Types that matrices can be stored in. */
export const STORED_DTYPES = ["f32", "f16", "bf16", "q8", "q4"] as const satisfies readonly StoredDtype[];

const FILE_DTYPES: Record<FileDtype, { size: number; stored: StoredDtype }> = {
  F32: { size: 4, stored: "f32" },
  F16: { size: 2, stored: "f16" },
  BF16: { size: 2, stored: "bf16" },
};

/** A program's weights on the GPU: matrices by id, and all vectors in one buffer of f32. */
export interface Weights {
  matrices: ReadonlyMap<WeightId, StoredMatrix>;
  vectors: GPUBuffer;
  /** Where each vector begins, in floats; also a router's matrix, whose rows are padded. */
  vectors_at: ReadonlyMap<WeightId, number>;
  /** Experts that a router chooses among. */
  routers_rows: ReadonlyMap<WeightId, number>;
  bytes: number;
  dispose(): void;
}

/** What kernels want of some matrices. */
export interface MatrixStorage {
  /** Their two halves (gate, up) alternate row by row; of experts, each one's own. */
  interleaved: Set<WeightId>;
  /** Kept in f32 beside the vectors: routers, which are read where rows are normed. */
  among_vectors: Set<WeightId>;
  /** Kept in f32: learned positions. */
  exact: Set<WeightId>;
}

/**
 * Streams every weight to the GPU, each read once and a few MiB at a time, converted and checked there.
 *
 * @throws CapstanError `bad_weights`, `out_of_memory`, `aborted`, `unsupported`
 */
export async function loadWeights(
  gpu: Gpu,
  readback: Readback,
  program: Program,
  source: WeightSource,
  storage: MatrixStorage,
  options: DeviceLoadOptions,
): Promise<Weights> {
  if (![...STORED_DTYPES, "auto"].includes(options.dtype)) throw unknownDtype(options.dtype);
  const slots = program.weights.map((slot) => ({
    slot,
    tensors: slot.parts.map((part) => openPart(source, part)),
  }));
  const made: GPUBuffer[] = [];
  const dispose = () => {
    for (const buffer of made) gpu.release(buffer);
  };
  try {
    const vectors = placeVectors(program.weights, storage.among_vectors);
    const vector_buffer = allocate(gpu, "vectors", 4 * vectors.length);
    made.push(vector_buffer);
    const matrices = new Map<WeightId, StoredMatrix>();
    for (const [id, { slot, tensors }] of slots.entries()) {
      if (slot.kind !== "matrix") continue;
      if (storage.among_vectors.has(id)) {
        matrices.set(id, amongVectors(slot, vector_buffer, vectors.at.get(id)!));
        continue;
      }
      const chosen = options.dtype === "auto" ? autoDtype(tensors) : options.dtype;
      const dtype = storage.exact.has(id) ? "f32" : chosen;
      const matrix = createMatrix(gpu, id, slot, dtype, storage.interleaved.has(id));
      made.push(...matrix.chunks.map(({ buffer }) => buffer));
      matrices.set(id, matrix);
    }
    await gpu.settled();
    const weights: Weights = {
      matrices,
      vectors: vector_buffer,
      vectors_at: vectors.at,
      routers_rows: new Map([...storage.among_vectors].map((id) => [id, program.weights[id]!.rows])),
      bytes: made.reduce((sum, { size }) => sum + size, 0),
      dispose,
    };
    await stream(gpu, readback, slots, weights, options);
    return weights;
  } catch (error) {
    dispose();
    throw error instanceof CapstanError && error.code === "out_of_memory" ? tooLarge(program, error) : error;
  }
}

/** What would fit is for the caller to say, who knows the memory: here is what each dtype takes. */
function tooLarge({ weights }: Program, cause: CapstanError): CapstanError {
  const bytes = (dtype: StoredDtype) =>
    weights.reduce((sum, { kind, count, rows, cols }) => {
      const words = rowWords(kind === "vector" ? "f32" : dtype, padded(cols));
      return sum + 4 * count * rows * (words.weights + words.scales);
    }, 0);
  const sizes = (["f32", "f16", "q8", "q4"] as const).map((dtype) => `${dtype} ${mebibytes(bytes(dtype))}`);
  const { need, found } = cause.parts;
  const mend = `All weights take, by dtype: ${sizes.join(", ")}.`;
  return new CapstanError("out_of_memory", { action: "load weights", need, found, mend }, { cause });
}

type OpenSlot = { slot: WeightSlot; tensors: WeightTensor[] };

async function stream(
  gpu: Gpu,
  readback: Readback,
  slots: readonly OpenSlot[],
  weights: Weights,
  options: DeviceLoadOptions,
): Promise<void> {
  const tensors = slots.flatMap(({ tensors }) => tensors);
  const total = tensors.reduce((sum, tensor) => sum + tensor.byte_length, 0);
  const converter = new Converter(gpu, tensors);
  try {
    let done = 0;
    let number = 0;
    for (const [id, { slot, tensors }] of slots.entries()) {
      let start = 0;
      for (const tensor of tensors) {
        if (options.signal?.aborted) throw abortedError("load weights", options.signal);
        const size = FILE_DTYPES[tensor.dtype].size;
        if (slot.kind === "vector") {
          const at = weights.vectors_at.get(id)! + start;
          await converter.vector(number, tensor, size, weights.vectors, at);
        } else {
          await converter.matrix(number, tensor, size, weights.matrices.get(id)!, start, options.signal);
        }
        start += tensor.byte_length / size / (slot.kind === "vector" ? 1 : slot.cols);
        number++;
        done += tensor.byte_length;
        options.on_progress?.(done, total);
      }
    }
    await converter.check(readback);
  } finally {
    converter.dispose();
  }
}

function unknownDtype(dtype: string): CapstanError {
  return new CapstanError("unsupported", {
    action: "load weights",
    need: `dtype ${[...STORED_DTYPES, "auto"].join(" or ")} on the webgpu device`,
    found: show(dtype),
  });
}

/** As the file has it; f32, which holds all, where the parts of a stacked matrix differ. */
function autoDtype(tensors: readonly WeightTensor[]): StoredDtype {
  const [first, ...others] = tensors.map((tensor) => FILE_DTYPES[tensor.dtype].stored);
  return first !== undefined && others.every((other) => other === first) ? first : "f32";
}

/** Vectors lie behind one another, with room for the zeros that pad each of their parts. */
function placeVectors(
  slots: readonly WeightSlot[],
  matrices: ReadonlySet<WeightId>,
): { at: Map<WeightId, number>; length: number } {
  const at = new Map<WeightId, number>();
  let length = 0;
  for (const [id, slot] of slots.entries()) {
    if (slot.kind !== "vector" && !matrices.has(id)) continue;
    at.set(id, length);
    length += slot.rows * padded(slot.cols) + padded(1);
  }
  return { at, length };
}

function createMatrix(
  gpu: Gpu,
  id: WeightId,
  { count, rows, cols }: WeightSlot,
  dtype: StoredDtype,
  interleaved: boolean,
): StoredMatrix {
  const k = padded(cols);
  const words = rowWords(dtype, k);
  const all = count * rows;
  const step = cutRows(dtype, { count, rows, cols }, gpu.adapter.limits.binding_bytes);
  const chunks: Chunk[] = [];
  for (let first_row = 0; first_row < all; first_row += step) {
    const n_rows = Math.min(step, all - first_row);
    const buffer = allocate(gpu, `weight ${id}`, 4 * n_rows * (words.weights + words.scales));
    chunks.push({ buffer, at: 0, first_row, n_rows, scales_at: n_rows * words.weights });
  }
  return { dtype, rows, cols, k, interleaved, chunks };
}

/** A matrix that lies in the buffer of vectors. */
function amongVectors({ rows, cols }: WeightSlot, buffer: GPUBuffer, at: number): StoredMatrix {
  const chunk = { buffer, at, first_row: 0, n_rows: rows, scales_at: 0 };
  return { dtype: "f32", rows, cols, k: padded(cols), interleaved: false, chunks: [chunk] };
}

function allocate(gpu: Gpu, label: string, bytes: number): GPUBuffer {
  const { binding_bytes, buffer_bytes } = gpu.adapter.limits;
  if (bytes > Math.min(binding_bytes, buffer_bytes)) {
    throw outOfMemory(
      `allocate ${label}`,
      bytes,
      `bindings of at most ${binding_bytes} bytes on this adapter`,
    );
  }
  return gpu.buffer(label, bytes, USAGE.STORAGE | USAGE.COPY_DST | USAGE.COPY_SRC);
}
