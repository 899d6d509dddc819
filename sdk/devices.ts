import { createWasmDevice } from "../core-wasm/index.ts";
import { CapstanError, type Device } from "../models/index.ts";
import { engine } from "./platform/engine.ts";
import type { LoadOptions } from "./types.ts";

/** The device that `options.device` names; `auto` is WASM, which runs everywhere. */
export async function createDevice(options: LoadOptions): Promise<Device> {
  if (options.device === "webgpu") {
    throw new CapstanError("unsupported", {
      action: "load a model",
      need: 'device "auto" or "wasm"',
      found: '"webgpu"',
      mend: "This version has no WebGPU device yet.",
    });
  }
  if (options.threads !== undefined && options.threads !== 1) {
    throw new CapstanError("unsupported", {
      action: "load a model",
      need: "threads 1",
      found: String(options.threads),
      mend: "This version's WASM engine runs on one thread.",
    });
  }
  return createWasmDevice(await engine());
}
