import { number, type Rule } from "../common/options.ts";

/** What the metadata of an axis and of caps may say, for `TensorFile.json`. */

/** The model that a file was made on. */
export const MODEL: Rule = {
  need: "{ id, digest }, both texts",
  fits: (value) => {
    const { id, digest } = (value ?? {}) as { id?: unknown; digest?: unknown };
    return typeof id === "string" && typeof digest === "string";
  },
};

/** A list of so many numbers. */
export function numbersOf(n: number): Rule {
  const { fits } = number();
  return {
    need: `a list of ${n} numbers`,
    fits: (value) => Array.isArray(value) && value.length === n && value.every(fits),
  };
}

/** Layers of a model, each once, in order. */
export function layersRule(n_layers: number): Rule {
  return {
    need: `layers of 0 to ${n_layers - 1}, each once and ascending`,
    fits: (value) => Array.isArray(value) && areLayers(value, n_layers),
  };
}

export function areLayers(layers: ArrayLike<unknown>, n_layers: number): boolean {
  let last = -1;
  for (const layer of Array.from(layers)) {
    if (!Number.isSafeInteger(layer) || (layer as number) <= last || (layer as number) >= n_layers)
      return false;
    last = layer as number;
  }
  return last >= 0;
}
