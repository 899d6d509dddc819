import type { Device, DeviceLoadOptions, Program, WeightSource } from "../../models/index.ts";
import { fileBytes, openProgramWeights } from "../../models/index.ts";

/** Bytes of weights that a CPU reads for each token in a fifth of a second or so; from here on `auto` is q8 there. */
const MOST_BYTES = 2 ** 30;

/** How a model's matrices are kept, and what to say of it where that was not the caller's choice. */
export interface ChosenDtype {
  dtype: DeviceLoadOptions["dtype"];
  note: string | null;
}

/**
 * What `auto` is: as the files have it, but q8 on the CPU for models of which a token takes too long.
 *
 * @throws CapstanError `bad_weights` where a tensor is not as the program says
 */
export function chooseDtype(
  asked: DeviceLoadOptions["dtype"],
  kind: Device["kind"],
  program: Program,
  weights: WeightSource,
): ChosenDtype {
  if (asked !== "auto" || kind !== "wasm") return { dtype: asked, note: null };
  const bytes = fileBytes(openProgramWeights(program, weights));
  if (bytes <= MOST_BYTES) return { dtype: "auto", note: null };
  const size = (bytes / 1e9).toFixed(1);
  return { dtype: "q8", note: `q8 of ${size} GB of weights (dtype "f32" or "bf16" keeps them exact)` };
}
