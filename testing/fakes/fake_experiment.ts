import { itemAt } from "../../models/certain.ts";
import type { CollectOptions } from "../../sdk/science/collect/collect.ts";
import type { RoleDefinition } from "../../sdk/science/recipe/roles.ts";
import { FAKE_JUDGE } from "./fake_model.ts";

/** An experiment on the fake model, for the tests of this folder. */

/** Fourteen roles between 0.3 and 0.95 from the Assistant, with themes that do not go by distance. */
const DISTANCES = Array.from({ length: 14 }, (_, i) => 0.3 + 0.05 * i);
export const NAMES = DISTANCES.map((_, i) => `role${String(i).padStart(2, "0")}`);
export const ROLES: Record<string, RoleDefinition> = Object.fromEntries(
  DISTANCES.map((d, i) => {
    const pos = (k: number) => ({ pos: `${"!".repeat(k)}[t=t${(i * 5) % 7}] [d=${d.toFixed(2)}]` });
    return [itemAt(NAMES, i), { instruction: [pos(1), pos(2), pos(3)], group: d > 0.6 ? "far" : "near" }];
  }),
);
export const QUESTIONS = ["how are you", "what is new", "tell me a thing"];
export const JUDGE = {
  ...FAKE_JUDGE,
  roles: Object.fromEntries(
    DISTANCES.map((d, i) => [itemAt(NAMES, i), { min: Math.max(0, d * 4 - 1), max: d * 4 + 1 }]),
  ),
};
export const OPTIONS: CollectOptions = {
  roles: ROLES,
  questions: QUESTIONS,
  judge: JUDGE,
  max_tokens: 32,
  seed: 5,
};
