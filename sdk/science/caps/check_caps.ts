import { CapstanError, type ErrorCode } from "../../../models/index.ts";
import { areLayers } from "../metadata_rules.ts";
import { row } from "../numbers/vectors.ts";
import type { CapsData } from "./caps.ts";

/**
 * Refuses caps that a model would refuse, or that would not do what they say.
 *
 * @param action for the error: what is done with them
 * @throws CapstanError of this code
 */
export function checkCaps(data: CapsData, action: string, code: ErrorCode): void {
  const [need, found] = fault(data) ?? [];
  if (need !== undefined) throw new CapstanError(code, { action, need, found: found! });
}

/** What is wrong with them: what is needed, what is there. */
function fault({
  n_layers,
  d_model,
  layers,
  vectors,
  floors,
  ceilings,
}: CapsData): [string, string] | undefined {
  const n = layers.length;
  if (!areLayers(layers, n_layers))
    return [`layers of 0 to ${n_layers - 1}, each once and ascending`, `[${layers.join(", ")}]`];
  if (vectors.length !== n * d_model || floors.length !== n || ceilings.length !== n)
    return [
      `${n} vectors of ${d_model}, ${n} floors and ceilings`,
      `others: ${vectors.length} values, ${floors.length} and ${ceilings.length}`,
    ];
  for (const [i, layer] of layers.entries()) {
    const vector = row(vectors, i, d_model);
    const [floor, ceiling] = [floors[i]!, ceilings[i]!];
    if (!vector.every(Number.isFinite)) return [`a vector of finite numbers at layer ${layer}`, "others"];
    if (vector.every((x) => x === 0)) return [`a direction at layer ${layer}`, "zeros"];
    // Of NaN neither holds.
    if (!(floor < Number.POSITIVE_INFINITY && ceiling > Number.NEGATIVE_INFINITY && floor <= ceiling))
      return [`a floor below a ceiling at layer ${layer}`, `${floor} and ${ceiling}`];
    if (floor === Number.NEGATIVE_INFINITY && ceiling === Number.POSITIVE_INFINITY)
      return [`a floor or a ceiling at layer ${layer}`, "neither"];
  }
  return undefined;
}
