import type { Device } from "../../models/index.ts";
import { load, loadOn } from "../../sdk/inference/load.ts";
import type { FileSource, LoadOptions, Model } from "../../sdk/types.ts";
import type { FidelityDtype } from "../bounds.ts";
import { createTruthDevice } from "../truth/index.ts";
import type { Case } from "./case.ts";

export interface OpenOptions {
  /** As `load` has it, or `truth` (f64, slow), or a device of the caller's making. Default: auto. */
  device?: LoadOptions["device"] | "truth" | (() => Promise<Device>);
  /** bf16 is not among them: what it costs depends on the model more than on any device. */
  dtype?: FidelityDtype;
  signal?: AbortSignal;
}

/** The model of a case on a device, to be disposed by the caller. */
export function loadCase(files: FileSource, found: Case, options: OpenOptions): Promise<Model> {
  const { device, dtype } = options;
  const load_options = { ...loadOptions(found, options), ...(dtype === undefined ? {} : { dtype }) };
  if (typeof device === "function") return loadOn(files, load_options, device);
  if (device === "truth") return loadOn(files, load_options, async () => createTruthDevice());
  return load(files, { ...load_options, ...(device === undefined ? {} : { device }) });
}

/** What a case itself says of how its model is loaded. */
export function loadOptions({ n_ctx }: Case, { signal }: OpenOptions): LoadOptions {
  return { ...(n_ctx === undefined ? {} : { n_ctx }), ...(signal === undefined ? {} : { signal }) };
}
