import type { DeviceHook } from "./hooks.ts";

/**
 * Numbers that stand for names where TypeScript, Rust and WGSL share a packed buffer. They are declared here alone:
 * `core-wasm/build.mjs` makes Rust constants of this file, `gpu/layout/codes.ts` WGSL ones.
 */

/** What a hook does to a row (`DeviceHook`). */
export const HOOK_OPS = {
  clamp: 0,
  shift: 1,
  remove: 2,
  project: 3,
} as const satisfies Record<DeviceHook["op"], number>;

/** Where an entry's values ceased to be finite (`StepResult.non_finite`); 0 stands for nowhere. */
export const NON_FINITE = { residual: 1, logits: 2 } as const;

/** Logits that an entry wants back (`StepEntry.logits`). */
export const LOGITS = { none: 0, last: 1, all: 2 } as const;
