import { onlyOf } from "../../models/certain.ts";
/** A seed nobody chose: 32 random bits, short enough to be typed again. */
export function randomSeed(): number {
  return onlyOf(crypto.getRandomValues(new Uint32Array(1)));
}
