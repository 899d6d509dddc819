import type { DeviceLoadOptions, FileDtype, StoredDtype, WeightSource, WeightTensor } from "./device.ts";
import { abortedError, CapstanError, show } from "./errors.ts";
import { FILE_DTYPES } from "./file_dtypes.ts";
import type { Program, WeightId, WeightSlot } from "./program.ts";

/** What every device does as it streams a program's weights in: only where the numbers go is its own. */

/** A weight of the program and its parts, opened. */
export interface OpenWeight {
  slot: WeightSlot;
  parts: WeightTensor[];
}

/** A part on its way to a device. */
export interface WeightPart {
  tensor: WeightTensor;
  /** Bytes of an element in the file. */
  size: number;
  /** Its number among the parts of all weights. */
  number: number;
  weight: WeightId;
  slot: WeightSlot;
  /** Elements of the weight that lie before it. */
  start: number;
}

/**
 * A program's weights, slot by slot, nothing read yet.
 *
 * @throws CapstanError `bad_weights` for a tensor that is not there or not as the program says
 */
export function openProgramWeights(program: Program, source: WeightSource): OpenWeight[] {
  return program.weights.map((slot) => {
    const parts = source.parts(slot);
    const found = parts.reduce(
      (sum, { byte_length, dtype }) => sum + byte_length / FILE_DTYPES[dtype].size,
      0,
    );
    const need = slot.count * slot.rows * slot.cols;
    if (found !== need) throw wrongSize(slot, need, found);
    return { slot, parts };
  });
}

function wrongSize({ parts: [first], count, rows, cols }: WeightSlot, need: number, found: number) {
  const shape = count === 1 ? `[${rows}, ${cols}]` : `[${count}, ${rows}, ${cols}]`;
  return new CapstanError("bad_weights", {
    action: "load weights",
    need: `${need} numbers for the weight ${shape} of ${first?.name ?? "the program"}`,
    found: `${found}`,
  });
}

/** Bytes that all parts are read from. */
export function fileBytes(weights: readonly OpenWeight[]): number {
  return weights.flatMap(({ parts }) => parts).reduce((sum, { byte_length }) => sum + byte_length, 0);
}

/**
 * Gives each part to `put` in turn, reports the progress after each, and stops when the signal aborts.
 *
 * @throws CapstanError `aborted`, and what `put` throws
 */
export async function streamParts(
  weights: readonly OpenWeight[],
  { signal, on_progress }: DeviceLoadOptions,
  put: (part: WeightPart) => Promise<void>,
): Promise<void> {
  const total = fileBytes(weights);
  let done = 0;
  let number = 0;
  for (const [weight, { slot, parts }] of weights.entries()) {
    let start = 0;
    for (const tensor of parts) {
      if (signal?.aborted) throw abortedError("load weights", signal);
      const { size } = FILE_DTYPES[tensor.dtype];
      await put({ tensor, size, number, weight, slot, start });
      number++;
      start += tensor.byte_length / size;
      done += tensor.byte_length;
      on_progress?.(done, total);
    }
  }
}

/** As the file has it; f32, which holds all, where the parts of a stacked matrix differ. */
export function autoDtype({ parts }: OpenWeight): (typeof FILE_DTYPES)[FileDtype]["stored"] {
  const [first, ...others] = parts.map(({ dtype }) => FILE_DTYPES[dtype].stored);
  return first !== undefined && others.every((other) => other === first) ? first : "f32";
}

/** Types of a few bits, which round the weights: 32 neighbours of a row share a scale. */
export function isQuantised(dtype: string): dtype is "q8" | "q4" {
  return dtype === "q8" || dtype === "q4";
}

/**
 * How a program's matrices are kept where `asked` is a type of a few bits: routers and learned positions stay in float32, and
 * what has a row for each token of the vocabulary is q8 at least.
 */
export function keptDtypes<Asked extends StoredDtype>({
  ops,
}: Program): (id: WeightId, asked: Asked) => Asked | "f32" | "q8" {
  const exact = new Set<WeightId>();
  const of_vocabulary = new Set<WeightId>();
  for (const op of ops) {
    if (op.op === "router") exact.add(op.weight);
    if (op.op === "embed" && op.positions !== null) exact.add(op.positions);
    if (op.op === "embed" || op.op === "logits") of_vocabulary.add(op.weight);
  }
  return (id, asked) => {
    if (!isQuantised(asked)) return asked;
    if (exact.has(id)) return "f32";
    return of_vocabulary.has(id) ? "q8" : asked;
  };
}

/** Each type that matrices are kept in, once, that of most values first. */
export function storedDtypes(
  matrices: Iterable<{ slot: Pick<WeightSlot, "count" | "rows" | "cols">; stored: StoredDtype }>,
): StoredDtype[] {
  const values = new Map<StoredDtype, number>();
  for (const { slot, stored } of matrices) {
    values.set(stored, (values.get(stored) ?? 0) + slot.count * slot.rows * slot.cols);
  }
  return [...values].sort(([, a], [, b]) => b - a).map(([stored]) => stored);
}

/**
 * A dtype that the device stores, or `auto`. Throws `unsupported` for another.
 *
 * @throws CapstanError `unsupported` for a dtype that the device does not store
 */
export function knownDtype<Known extends StoredDtype>(
  dtype: DeviceLoadOptions["dtype"],
  dtypes: readonly Known[],
  device: string,
): Known | "auto" {
  const known = [...dtypes, "auto"] as const;
  const found = known.find((name) => name === dtype);
  if (found !== undefined) return found;
  throw new CapstanError("unsupported", {
    action: "load weights",
    need: `dtype ${known.join(" or ")} on the ${device} device`,
    found: show(dtype),
  });
}

/** The error of a number that no device keeps; `element` counts within the tensor. */
export function badElement({ name }: WeightTensor, what: string, element: number): CapstanError {
  return new CapstanError("bad_weights", {
    action: "load weights",
    need: `finite numbers in ${name}`,
    found: `${what} at element ${element}`,
  });
}

/**
 * Bytes [start, end) of a tensor, all of them.
 *
 * @throws CapstanError `bad_weights` when fewer come (or more), `aborted`
 */
export async function readExactly(
  tensor: WeightTensor,
  start: number,
  end: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const bytes = await tensor.read(start, end);
  if (signal?.aborted) throw abortedError("load weights", signal);
  if (bytes.length === end - start) return bytes;
  throw new CapstanError("bad_weights", {
    action: "load weights",
    need: `bytes ${start} to ${end} of ${tensor.name}`,
    found: `${bytes.length} bytes`,
    fix: "The file may be cut short.",
  });
}
