import { itemAt, onlyOf } from "../../models/certain.ts";
import type { StoredDtype, WeightTensor } from "../../models/device.ts";
import { badElement, readExactly, type WeightPart } from "../../models/load_weights.ts";
import { padded, UNIFORM_STRIDE, USAGE } from "../constants.ts";
import { type Gpu, type Kernel, type Pipeline, uniformBytes } from "../context.ts";
import { CONVERT_OP } from "../layout/ops.ts";
import type { Readback } from "../readback.ts";
import { CONVERT } from "./convert.wgsl.ts";
import { PACKING, rowSize, type StoredMatrix } from "./layout.ts";

const KERNEL = {
  name: "convert",
  source: CONVERT,
  op: CONVERT_OP,
  bindings: ["write", "write"],
} satisfies Kernel;

/** Bytes of a staging buffer, and of a file read at a time at most. */
const STAGING_BYTES = 8 << 20;
const LARGEST_CHUNK = 4 << 20;
/** Staging buffers: one is filled while the GPU works on the other. */
const N_STAGING = 2;
/** Chunks that share a submit. */
const MOST_CHUNKS = 64;
/** Bindings begin at multiples of this many bytes on any adapter. */
const ALIGNMENT = 256;

/** Rows of a tensor in a staging buffer, on their way into a buffer of weights. */
interface Destination {
  target: GPUBuffer;
  dtype: StoredDtype;
  row_start: number;
  row_step: number;
  to: number;
  row_stride: number;
  scales_to: number;
  blocks: number;
}

/** Carries tensors from their file into the GPU's weights, converting and checking on the way. */
export class Converter {
  readonly #gpu: Gpu;
  readonly #tensors: readonly WeightTensor[];
  /** First element of each tensor that its dtype cannot hold. */
  readonly #bad: GPUBuffer;
  readonly #staging: readonly Staging[];
  #turn = 0;

  constructor(gpu: Gpu, tensors: readonly WeightTensor[]) {
    this.#gpu = gpu;
    this.#tensors = tensors;
    const storage = USAGE.STORAGE | USAGE.COPY_DST | USAGE.COPY_SRC;
    this.#bad = gpu.buffer("bad weights", 4 * tensors.length, storage);
    gpu.write(this.#bad, 0, new Uint8Array(this.#bad.size).fill(255));
    const total = tensors.reduce((sum, { byte_length }) => sum + byte_length + ALIGNMENT, 0);
    const largest = Math.max(0, ...tensors.map((tensor) => chunkBytes(tensor)));
    const bytes = Math.max(largest, Math.min(STAGING_BYTES, total));
    this.#staging = Array.from({ length: N_STAGING }, () => ({
      bytes: gpu.buffer("weights on their way", bytes, USAGE.STORAGE | USAGE.COPY_DST),
      ops: gpu.buffer("convert", MOST_CHUNKS * UNIFORM_STRIDE, USAGE.UNIFORM | USAGE.COPY_DST),
      filled: 0,
      chunks: [],
      free: Promise.resolve(),
    }));
  }

  /** A part of a vector, to floats from `to` on. */
  async vector({ tensor, size, number }: WeightPart, target: GPUBuffer, to: number): Promise<void> {
    const cols = tensor.byte_length / size;
    const bytes = await readExactly(tensor, 0, tensor.byte_length);
    const blocks = Math.ceil(cols / 64);
    const destination = {
      target,
      dtype: "f32" as const,
      row_start: 0,
      row_step: 1,
      to,
      row_stride: 0,
      scales_to: 0,
      blocks,
    };
    await this.#convert(number, tensor, bytes, { rows: 1, cols, first_element: 0 }, destination);
  }

  /** A part of a matrix, to the rows that are its own. */
  async matrix(
    { tensor, size, number, start: start_element }: WeightPart,
    matrix: StoredMatrix,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { cols, k, dtype, interleaved, rows } = matrix;
    // The matrix's row that is the part's first, before any interleaving.
    const start = start_element / cols;
    const half = rows / 2;
    const step = rowsOfChunk(cols * size);
    const n_rows = tensor.byte_length / size / cols;
    const row_step = interleaved ? 2 : 1;
    for (let row = 0; row < n_rows; ) {
      // Interleaving is each matrix's own, where there are several.
      const within = (start + row) % rows;
      const matrix_start = start + row - within;
      const stored = matrix_start + (interleaved ? 2 * (within % half) + (within < half ? 0 : 1) : within);
      const chunk = matrix.chunks.find((c) => stored >= c.first_row && stored < c.first_row + c.n_rows)!;
      const in_chunk = Math.ceil((chunk.first_row + chunk.n_rows - stored) / row_step);
      const in_half = interleaved ? half - (within % half) : rows - within;
      const count = Math.min(step, n_rows - row, in_chunk, in_half);
      const bytes = await readExactly(tensor, row * cols * size, (row + count) * cols * size, signal);
      await this.#convert(
        number,
        tensor,
        bytes,
        { rows: count, cols, first_element: row * cols },
        {
          target: chunk.buffer,
          dtype,
          row_start: stored - chunk.first_row,
          row_step,
          to: chunk.at,
          row_stride: rowSize(dtype, k).weights,
          scales_to: chunk.scales_at,
          blocks: k / 64,
        },
      );
      row += count;
    }
  }

  /** @throws CapstanError `bad_weights` naming the first tensor and element that its dtype cannot hold */
  async check(readback: Readback): Promise<void> {
    this.#flush();
    await this.#gpu.settled();
    const encoder = this.#gpu.device.createCommandEncoder();
    const wanted = [{ buffer: this.#bad, start: 0, bytes: 4 * this.#tensors.length }];
    const part = onlyOf(await readback.read(encoder, wanted));
    for (const [i, element] of new Uint32Array(part).entries()) {
      if (element === 0xffffffff) continue;
      throw badElement(
        itemAt(this.#tensors, i),
        "NaN, infinity or a number too large for its dtype",
        element,
      );
    }
  }

  dispose(): void {
    const staging = this.#staging.flatMap(({ bytes, ops }) => [bytes, ops]);
    for (const buffer of [this.#bad, ...staging]) this.#gpu.release(buffer);
  }

  async #convert(
    number: number,
    tensor: WeightTensor,
    bytes: Uint8Array,
    chunk: { rows: number; cols: number; first_element: number },
    destination: Destination,
  ): Promise<void> {
    const { quantised } = PACKING[destination.dtype];
    const constants = { SOURCE: tensor.dtype, DTYPE: destination.dtype, QUANTISED: quantised };
    const pipeline = await this.#gpu.pipeline(KERNEL, constants);
    const staging = await this.#reserve(bytes.length);
    const { rows, cols, first_element } = chunk;
    const { blocks, row_start, row_step, to, row_stride, scales_to, target } = destination;
    staging.chunks.push({
      pipeline,
      target,
      at: staging.filled,
      size: padded(Math.max(4, bytes.length), 4),
      op: KERNEL.op.pack({
        rows,
        cols,
        blocks,
        first_element,
        tensor: number,
        row_start,
        row_step,
        to,
        row_stride,
        scales_to,
      }),
      groups: Math.ceil((rows * blocks) / 64),
    });
    this.#fill(staging, bytes);
    staging.filled = padded(staging.filled + bytes.length, ALIGNMENT);
  }

  /** The staging buffer in turn, with `count` bytes free: what fills it is submitted first, and waited for. */
  async #reserve(count: number): Promise<Staging> {
    const current = itemAt(this.#staging, this.#turn);
    if (current.filled + count <= current.bytes.size && current.chunks.length < MOST_CHUNKS) return current;
    this.#flush();
    const next = itemAt(this.#staging, this.#turn);
    await next.free;
    return next;
  }

  /** Converts what the staging buffer in turn holds, in one submit. */
  #flush(): void {
    const staging = itemAt(this.#staging, this.#turn);
    if (staging.chunks.length === 0) return;
    this.#gpu.write(staging.ops, 0, uniformBytes(staging.chunks.map(({ op }) => op)));
    const encoder = this.#gpu.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const [i, { pipeline, target, at, size, groups }] of staging.chunks.entries()) {
      const group = this.#gpu.bindGroup(pipeline, [
        { buffer: staging.ops, size: UNIFORM_STRIDE },
        { buffer: staging.ops, size: UNIFORM_STRIDE },
        { buffer: staging.bytes, offset: at, size },
        { buffer: target },
        { buffer: this.#bad },
      ]);
      pass.setPipeline(pipeline.pipeline);
      pass.setBindGroup(0, group, [i * UNIFORM_STRIDE]);
      pass.dispatchWorkgroups(Math.min(groups, 32_768), Math.ceil(groups / 32_768));
    }
    pass.end();
    this.#gpu.submit(encoder);
    staging.free = this.#gpu.device.queue.onSubmittedWorkDone().then(
      () => undefined,
      () => undefined,
    );
    staging.filled = 0;
    staging.chunks = [];
    this.#turn = (this.#turn + 1) % N_STAGING;
  }

  /** Written in whole u32s: a last odd half gets two bytes of zeros. */
  #fill({ bytes: buffer, filled }: Staging, bytes: Uint8Array): void {
    const whole = bytes.length - (bytes.length % 4);
    if (whole > 0) this.#gpu.write(buffer, filled, bytes.subarray(0, whole));
    if (whole === bytes.length) return;
    const rest = new Uint8Array(4);
    rest.set(bytes.subarray(whole));
    this.#gpu.write(buffer, filled + whole, rest);
  }
}

/** A buffer of file bytes, what is to be made of them, and when the GPU is done with what it held before. */
interface Staging {
  bytes: GPUBuffer;
  ops: GPUBuffer;
  filled: number;
  chunks: {
    pipeline: Pipeline;
    target: GPUBuffer;
    at: number;
    size: number;
    op: Uint32Array;
    groups: number;
  }[];
  free: Promise<void>;
}

function rowsOfChunk(row_bytes: number): number {
  return Math.max(1, Math.floor(LARGEST_CHUNK / row_bytes));
}

/** Bytes of a tensor's largest chunk, in whole u32s. */
function chunkBytes({ shape, byte_length }: WeightTensor): number {
  if (shape.length < 2) return padded(byte_length, 4);
  const row_bytes = byte_length / Math.max(1, itemAt(shape, 0));
  return padded(Math.min(byte_length, rowsOfChunk(row_bytes) * row_bytes), 4);
}
