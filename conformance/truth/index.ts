/** The truth: every op of a program in plain f64 loops, as one more device. */
export { createTruthDevice, type TruthOptions } from "./device.ts";
export type { QuantisedDtype } from "./quantise.ts";
