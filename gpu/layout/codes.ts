import { HOOK_OPS, NON_FINITE } from "../../models/codes.ts";
import { NONE } from "./record.ts";
import { FOLLOWS } from "./step.ts";

/** WGSL constants of what kernels and packed buffers share. */
export const CODES = [
  ...constants("", { none: NONE, follows: FOLLOWS }),
  ...constants("HOOK_", HOOK_OPS),
  ...constants("NON_FINITE_", NON_FINITE),
].join("\n");

function constants(prefix: string, codes: Readonly<Record<string, number>>): string[] {
  return Object.entries(codes).map(([name, code]) => `const ${prefix}${name.toUpperCase()}: u32 = ${code}u;`);
}
