import { record } from "./record.ts";

/**
 * A hook in a set. A set is a table of sites (the address of each site's first hook, and the end of the last one's),
 * the hooks, and their vectors, each [d_model]. Addresses count u32s of the hook store.
 */
export const HOOK = record({
  /** `HOOK_OPS`. */
  op: "u32",
  /** Acts on the last position of a forward call alone. */
  only_last: "bool",
  direction_at: "u32?",
  delta_at: "u32?",
  floor: "f32",
  ceiling: "f32",
  /** Row of the entry's projections. */
  output: "u32",
});
