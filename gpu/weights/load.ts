import { entryOf, itemAt } from "../../models/certain.ts";
import type { DeviceLoadOptions, StoredDtype, WeightSource } from "../../models/device.ts";
import { CapstanError } from "../../models/errors.ts";
import {
  autoDtype,
  keptDtypes,
  knownDtype,
  type OpenWeight,
  openProgramWeights,
  storedDtypes,
  streamParts,
} from "../../models/load_weights.ts";
import { memoryNeed } from "../../models/memory.ts";
import type { Program, WeightId, WeightSlot } from "../../models/program.ts";
import { padded, USAGE } from "../constants.ts";
import { type Gpu, mebibytes, outOfMemory } from "../context.ts";
import type { Readback } from "../readback.ts";
import { Converter } from "./converter.ts";
import { type Chunk, cutRows, rowSize, type StoredMatrix } from "./layout.ts";

/** Types that matrices can be stored in. */
export const STORED_DTYPES = ["f32", "f16", "bf16", "q8", "q4"] as const satisfies readonly StoredDtype[];

/** A program's weights on the GPU: matrices by id, and all vectors in one buffer of f32. */
export interface Weights {
  matrices: ReadonlyMap<WeightId, StoredMatrix>;
  vectors: GPUBuffer;
  /** Where each vector begins, in floats; also a router's matrix, whose rows are padded. */
  vectors_at: ReadonlyMap<WeightId, number>;
  /** Experts that a router chooses among. */
  routers_rows: ReadonlyMap<WeightId, number>;
  bytes: number;
  /** Dtypes of the matrices that are stored as asked. */
  stored: StoredDtype[];
  dispose(): void;
}

/** What kernels want of some matrices. */
export interface MatrixStorage {
  /** Their two halves (gate, up) alternate row by row; of experts, each one's own. */
  interleaved: Set<WeightId>;
  /** Stored in f32 beside the vectors: routers, which are read where rows are normed. */
  among_vectors: Set<WeightId>;
  /** Stored in f32: learned positions. */
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
  const dtype = knownDtype(options.dtype, STORED_DTYPES, "webgpu");
  const open = openProgramWeights(program, source);
  const made: GPUBuffer[] = [];
  const dispose = () => {
    for (const buffer of made) gpu.release(buffer);
  };
  try {
    const vectors = placeVectors(program.weights, storage.among_vectors);
    const vector_buffer = allocate(gpu, "vectors", 4 * vectors.length);
    made.push(vector_buffer);
    const matrices = new Map<WeightId, StoredMatrix>();
    const kept = keptDtypes(program);
    const as_asked: { slot: WeightSlot; stored: StoredDtype }[] = [];
    for (const [id, weight] of open.entries()) {
      const { slot } = weight;
      if (slot.kind !== "matrix") continue;
      if (storage.among_vectors.has(id)) {
        matrices.set(id, amongVectors(slot, vector_buffer, entryOf(vectors.at, id)));
        continue;
      }
      const chosen = dtype === "auto" ? autoDtype(weight) : dtype;
      const stored = storage.exact.has(id) ? "f32" : kept(id, chosen);
      if (stored === chosen) as_asked.push({ slot, stored });
      const matrix = createMatrix(gpu, id, slot, stored, storage.interleaved.has(id));
      made.push(...matrix.chunks.map(({ buffer }) => buffer));
      matrices.set(id, matrix);
    }
    await gpu.settled();
    const weights: Weights = {
      matrices,
      vectors: vector_buffer,
      vectors_at: vectors.at,
      routers_rows: new Map([...storage.among_vectors].map((id) => [id, itemAt(program.weights, id).rows])),
      bytes: made.reduce((sum, { size }) => sum + size, 0),
      stored: storedDtypes(as_asked),
      dispose,
    };
    await stream(gpu, readback, open, weights, options);
    return weights;
  } catch (error) {
    dispose();
    throw error instanceof CapstanError && error.code === "out_of_memory" ? tooLarge(program, error) : error;
  }
}

/** What would fit is for the caller to say, who knows the memory: here is what each dtype takes. */
function tooLarge(program: Program, cause: CapstanError): CapstanError {
  const bytes = memoryNeed(program).weights;
  const sizes = (["f32", "f16", "q8", "q4"] as const).map((dtype) => `${dtype} ${mebibytes(bytes[dtype])}`);
  const { need, found } = cause.parts;
  const fix = `All weights take, by dtype: ${sizes.join(", ")}.`;
  return new CapstanError("out_of_memory", { action: "load weights", need, found, fix }, { cause });
}

async function stream(
  gpu: Gpu,
  readback: Readback,
  open: readonly OpenWeight[],
  { vectors, vectors_at, matrices }: Weights,
  options: DeviceLoadOptions,
): Promise<void> {
  const converter = new Converter(
    gpu,
    open.flatMap(({ parts }) => parts),
  );
  try {
    await streamParts(open, options, async (part) => {
      const { weight, slot, start } = part;
      if (slot.kind === "vector") await converter.vector(part, vectors, entryOf(vectors_at, weight) + start);
      else await converter.matrix(part, entryOf(matrices, weight), options.signal);
    });
    await converter.check(readback);
  } finally {
    converter.dispose();
  }
}

/** Vectors one behind the other, with the zeros that pad each of their parts. */
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
  const size = rowSize(dtype, k);
  const all = count * rows;
  const step = cutRows(dtype, { count, rows, cols }, gpu.adapter.limits.binding_bytes);
  const chunks: Chunk[] = [];
  for (let first_row = 0; first_row < all; first_row += step) {
    const n_rows = Math.min(step, all - first_row);
    const buffer = allocate(gpu, `weight ${id}`, 4 * n_rows * (size.weights + size.scales));
    chunks.push({ buffer, at: 0, first_row, n_rows, scales_at: n_rows * size.weights });
  }
  return { dtype, rows, cols, k, interleaved, chunks };
}

/** A matrix in the buffer of vectors. */
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
