import type { Caps } from "../science/index.ts";
import type { Model } from "../types.ts";
import type { Io } from "./io.ts";

/** Reads a cap file and checks it against the model; caps that were made on another model are named on stderr. */
export async function readCapsFor(io: Io, model: Model, path: string): Promise<Caps> {
  // Only a capped call reads the experiment's code.
  const { checkDtype, checkFits, readCaps } = await import("../science/index.ts");
  const caps = await readCaps(path);
  const warnings = [...checkFits(model, caps, "caps"), ...checkDtype(model, caps)];
  for (const warning of warnings) await io.warn(warning);
  return caps;
}
