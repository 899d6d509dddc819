/** `capstan/edge` in workerd: the same, with the engine as a module. */
import "../sdk/platform/workerd.ts";

export * from "./index.ts";
