import type {
  DeviceLoadOptions,
  FileDtype,
  StoredDtype,
  WeightSource,
  WeightTensor,
} from "../models/device.ts";
import { abortedError, CapstanError, show } from "../models/errors.ts";
import { openPart } from "../models/part.ts";
import type { Program, WeightSlot } from "../models/program.ts";
import { BadElement, type Instance } from "./instance.ts";
import { WordReader } from "./words.ts";

/** Types that the engine stores matrices in. */
export const STORED_DTYPES = ["f32", "f16", "bf16"] as const satisfies readonly StoredDtype[];
type Stored = (typeof STORED_DTYPES)[number];

const FILE_DTYPES: Record<FileDtype, { code: number; size: number; stored: Stored }> = {
  F32: { code: 0, size: 4, stored: "f32" },
  F16: { code: 1, size: 2, stored: "f16" },
  BF16: { code: 2, size: 2, stored: "bf16" },
};

/** Bytes read from a file at a time: few enough to add little to the weights' own. */
const LARGEST_CHUNK = 4 << 20;
const SMALLEST_CHUNK = 64 << 10;

/** What the engine says of a model that it made room for. */
export interface ModelSizes {
  block_size: number;
  weight_bytes: number;
  block_bytes: number;
}

/** Makes room for the program's weights and streams them in, each read once, converted on the way. */
export async function loadWeights(
  instance: Instance,
  program: Program,
  weights: WeightSource,
  options: DeviceLoadOptions,
): Promise<ModelSizes> {
  const slots = program.weights.map((slot) => ({
    slot,
    tensors: slot.parts.map((part) => openPart(weights, part)),
  }));
  const sizes = createModel(instance, program, slots, storedDtype(options.dtype));
  const total = slots.flatMap(({ tensors }) => tensors).reduce((sum, tensor) => sum + tensor.byte_length, 0);
  const chunk_bytes = Math.min(LARGEST_CHUNK, Math.max(SMALLEST_CHUNK, total >> 5));
  let done = 0;
  for (const [index, { slot, tensors }] of slots.entries()) {
    let start = 0;
    for (const tensor of tensors) {
      const to = { slot: index, start, cols: slot.kind === "matrix" ? slot.cols : 1 };
      await stream(instance, tensor, to, chunk_bytes, options.signal);
      start +=
        slot.kind === "matrix" ? tensor.shape[0]! : tensor.byte_length / FILE_DTYPES[tensor.dtype].size;
      done += tensor.byte_length;
      options.on_progress?.(done, total);
    }
  }
  instance.releaseInput("load weights");
  return sizes;
}

function storedDtype(dtype: DeviceLoadOptions["dtype"]): Stored | "auto" {
  const known = [...STORED_DTYPES, "auto"] as const;
  const found = known.find((name) => name === dtype);
  if (found !== undefined) return found;
  throw new CapstanError("unsupported", {
    action: "load weights",
    need: `dtype ${known.join(" or ")} on the wasm device`,
    found: show(dtype),
  });
}

type OpenSlot = { slot: WeightSlot; tensors: WeightTensor[] };

function createModel(
  instance: Instance,
  program: Program,
  slots: readonly OpenSlot[],
  dtype: Stored | "auto",
): ModelSizes {
  const described = slots.map(({ slot: { kind, count, rows, cols }, tensors }) => {
    const stored = dtype === "auto" ? autoDtype(tensors) : dtype;
    return { kind, count, rows, cols, stored };
  });
  const json = new TextEncoder().encode(JSON.stringify({ ...program, weights: described }));
  const length = instance.write("load weights", json);
  const words = new WordReader(instance.call("load weights", "create_model", length));
  return { block_size: words.u32(), weight_bytes: words.u32(), block_bytes: words.u32() };
}

/** As the file has it; f32, which holds all, where the parts of a stacked matrix differ. */
function autoDtype(tensors: readonly WeightTensor[]): Stored {
  const [first, ...others] = tensors.map((tensor) => FILE_DTYPES[tensor.dtype].stored);
  return first !== undefined && others.every((other) => other === first) ? first : "f32";
}

/** Where a tensor's first row goes, and how long its rows are. */
interface Destination {
  slot: number;
  start: number;
  cols: number;
}

async function stream(
  instance: Instance,
  tensor: WeightTensor,
  to: Destination,
  chunk_bytes: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { code, size } = FILE_DTYPES[tensor.dtype];
  const rows = tensor.byte_length / (to.cols * size);
  const step = Math.max(1, Math.floor(chunk_bytes / (to.cols * size)));
  for (let row = 0; row < rows; row += step) {
    if (signal?.aborted) throw abortedError("load weights", signal);
    const bytes = await readExactly(
      tensor,
      row * to.cols * size,
      Math.min(rows, row + step) * to.cols * size,
    );
    if (signal?.aborted) throw abortedError("load weights", signal);
    const length = instance.write("load weights", bytes);
    try {
      instance.call("load weights", "write_weights", length, to.slot, to.start + row, code);
    } catch (error) {
      if (!(error instanceof BadElement)) throw error;
      throw new CapstanError("bad_weights", {
        action: "load weights",
        need: `finite numbers in ${tensor.name}`,
        found: `${error.message} at element ${row * to.cols + error.index}`,
      });
    }
  }
}

async function readExactly(tensor: WeightTensor, start: number, end: number): Promise<Uint8Array> {
  const bytes = await tensor.read(start, end);
  if (bytes.length === end - start) return bytes;
  throw new CapstanError("bad_weights", {
    action: "load weights",
    need: `bytes ${start} to ${end} of ${tensor.name}`,
    found: `${bytes.length} bytes`,
    mend: "The file may be cut short.",
  });
}
