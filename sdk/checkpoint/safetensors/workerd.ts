/** `capstan/safetensors` in workerd: the same, with the engine as a module. */
import "../../platform/workerd.ts";

export * from "./index.ts";
