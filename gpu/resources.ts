import type { Accumulators } from "./accumulators.ts";
import type { Buffers } from "./buffers.ts";
import type { Cache } from "./cache.ts";
import type { HookStore } from "./hooks.ts";

/** Everything that dispatches may be bound to, of one model. */
export interface Resources {
  buffers: Buffers;
  cache: Cache;
  hooks: HookStore;
  accumulators: Accumulators;
}
