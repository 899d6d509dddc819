import { CapstanError, isObject, show } from "../../models/index.ts";
import type { Model } from "../types.ts";

/** Refuses what is no model, such as the name of one. @throws CapstanError `bad_request` */
export function checkModel(model: Model, action: string): void {
  if (isObject(model) && typeof model.forward === "function" && isObject(model.spec)) return;
  const fix = typeof model === "string" ? `Load it first: await load(${show(model)}).` : undefined;
  const parts = { action, need: "a model: what load gave", found: show(model) };
  throw new CapstanError("bad_request", fix === undefined ? parts : { ...parts, fix });
}
