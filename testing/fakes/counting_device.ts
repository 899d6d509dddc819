import type { DeviceModel, HookSetId, StepEntry } from "../../models/index.ts";

/** A model on a device that computes nothing and keeps count: for tests of what the scheduler asks of one. */
export interface CountingDevice extends DeviceModel {
  /** Every batch, in order. */
  readonly batches: (readonly StepEntry[])[];
  /** Hook sets that were added and not freed. */
  readonly hook_sets: Set<HookSetId>;
  /** Blocks that were allocated and not freed. */
  readonly blocks: Set<number>;
}

/** @param max_blocks KV blocks of 16 tokens that it has */
export function countingDevice(max_blocks = 10_000): CountingDevice {
  const [batches, hook_sets, blocks]: [CountingDevice["batches"], Set<number>, Set<number>] = [
    [],
    new Set(),
    new Set(),
  ];
  let n_made = 0;
  const make = (into: Set<number>) => {
    into.add(++n_made);
    return n_made;
  };
  const free = (from: Set<number>, id: number) => {
    if (!from.delete(id)) throw new Error(`${id} is not there to be freed`);
  };
  return {
    batches,
    hook_sets,
    blocks,
    block_size: 16,
    stored: ["f32"],
    n_in_flight: 1,
    memory: { weight_bytes: 0, block_bytes: 1, max_blocks, in_system_memory: true },
    allocBlocks: async (count) => Array.from({ length: count }, () => make(blocks)),
    freeBlocks: (ids) => {
      for (const id of ids) free(blocks, id);
    },
    copyBlock: () => {},
    addHooks: () => make(hook_sets),
    freeHooks: (id) => free(hook_sets, id),
    addAccumulator: () => make(new Set()),
    readAccumulator: async () => ({ mean: new Float32Array(), count: 0 }),
    freeAccumulator: () => {},
    step: async (batch) => {
      batches.push([...batch]);
      return batch.map(({ sample }) => ({
        non_finite: null,
        token: sample === null ? -1 : 1,
        logprobs: null,
        logits: null,
        captures: [],
        projections: new Float32Array(),
      }));
    },
    dispose: async () => {},
  };
}
