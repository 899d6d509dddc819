import { onlyOf } from "../models/certain.ts";
import { CapstanError } from "../models/errors.ts";
import { USAGE } from "./constants.ts";
import type { Gpu } from "./context.ts";
import type { Readback } from "./readback.ts";
import type { Runner } from "./runner.ts";
import type { StepSizes } from "./work.ts";

/** How long one stage of a step ran. */
export interface StageTime {
  /** The kernel, and what a matrix product writes: `attention`, `matmul qkv`. */
  name: string;
  nanoseconds: number;
}

/**
 * Runs a step that has been packed, each stage in a pass of its own between two timestamps.
 *
 * @throws CapstanError `unsupported` where the adapter has no timestamps
 */
export async function timeStages(
  gpu: Gpu,
  runner: Runner,
  readback: Readback,
  sizes: StepSizes,
): Promise<StageTime[]> {
  if (!gpu.adapter.features.timestamps) {
    throw new CapstanError("unsupported", {
      action: "time a step's kernels",
      need: "an adapter with timestamp queries",
      found: gpu.adapter.name,
    });
  }
  const count = 2 * runner.n_stages;
  const queries = gpu.device.createQuerySet({ type: "timestamp", count });
  const resolved = gpu.buffer("timestamps", 8 * count, USAGE.QUERY_RESOLVE | USAGE.COPY_SRC);
  try {
    const encoder = gpu.device.createCommandEncoder();
    const names = runner.encodeTimed(encoder, sizes, queries);
    encoder.resolveQuerySet(queries, 0, 2 * names.length, resolved, 0);
    const wanted = [{ buffer: resolved, start: 0, bytes: 16 * names.length }];
    const ticks = new BigUint64Array(onlyOf(await readback.read(encoder, wanted)));
    return names.map((name, i) => ({ name, nanoseconds: Number(ticks[2 * i + 1]! - ticks[2 * i]!) }));
  } finally {
    gpu.release(resolved);
    queries.destroy();
  }
}
