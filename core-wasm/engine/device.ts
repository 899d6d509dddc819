import type { Device, DeviceLoadOptions, DeviceModel, WeightSource } from "../../models/device.ts";
import { CapstanError } from "../../models/errors.ts";
import type { Program } from "../../models/program.ts";
import type { Engine } from "./engine.ts";
import { loadWeights, STORED_DTYPES } from "./load.ts";
import { WasmModel } from "./model.ts";

/** The CPU device: WebAssembly SIMD on the calling thread, one instance of the engine for each model. */
export function createWasmDevice(engine: Engine): Device {
  return new WasmDevice(engine);
}

class WasmDevice implements Device {
  readonly kind = "wasm";
  readonly description = "WASM SIMD, 1 thread";
  readonly dtypes = STORED_DTYPES;
  readonly blocks_thread = true;
  readonly #engine: Engine;
  readonly #models = new Set<WasmModel>();
  #disposed = false;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async load(program: Program, weights: WeightSource, options: DeviceLoadOptions): Promise<DeviceModel> {
    this.#alive();
    const instance = this.#engine.instantiate();
    try {
      const sizes = await loadWeights(instance, program, weights, options);
      this.#alive();
      const forget = () => this.#models.delete(model);
      const model = new WasmModel(instance, program, options, sizes, forget);
      this.#models.add(model);
      return model;
    } catch (error) {
      instance.dispose();
      throw error;
    }
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    for (const model of [...this.#models]) await model.dispose();
  }

  #alive(): void {
    if (!this.#disposed) return;
    throw new CapstanError("device_lost", {
      action: "load weights",
      need: "a living device",
      found: "a disposed one",
    });
  }
}
