import { LoadedModel } from "../sdk/inference/model.ts";
import type { Runtime } from "../sdk/inference/runtime.ts";
import type { Model } from "../sdk/types.ts";

/** What is inside a model that `load` gave: its scheduler, with the counts that tests look at. */
export function runtimeOf(model: Model): Runtime {
  if (model instanceof LoadedModel) return model.runtime;
  throw new TypeError("runtimeOf: need what load gave");
}
