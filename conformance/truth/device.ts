import { type Device, type DeviceLoadOptions, type DeviceModel, knownDtype } from "../../models/index.ts";
import { lost, TruthModel } from "./model.ts";
import { loadWeights } from "./weights.ts";

/** f32 is exact, whatever the file has. */
const DTYPES = ["f32", "q8", "q4"] as const;

export interface TruthOptions {
  /** Tokens in a KV block. Small by default, so that short sequences span several. */
  block_size?: number;
  /** KV blocks a model may have at once; beyond them `allocBlocks` throws `out_of_memory`. */
  max_blocks?: number;
}

/**
 * The device that the others are measured against: f64 weights, activations, cache and sums, one naive loop an
 * op. Slow on purpose; meant for models of a few layers. In q8 and q4 it computes exactly with the rounded weights.
 * @example
 * const device = createTruthDevice({ max_blocks: 64 });
 */
export function createTruthDevice(options: TruthOptions = {}): Device {
  const { block_size = 8, max_blocks = 65_536 } = options;
  const models = new Set<DeviceModel>();
  let disposed = false;
  return {
    kind: "truth",
    description: "f64 reference in plain TypeScript",
    dtypes: DTYPES,
    async load(program, source, load: DeviceLoadOptions) {
      if (disposed) throw lost("load a model");
      knownDtype(load.dtype, DTYPES, "truth");
      const weights = await loadWeights(program, source, load);
      const model = new TruthModel(program, weights, load, { block_size, max_blocks });
      models.add(model);
      return model;
    },
    async dispose() {
      disposed = true;
      for (const model of models) await model.dispose();
    },
  };
}
