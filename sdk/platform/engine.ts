import {
  type BufferSource,
  type Engine,
  engineUrl,
  loadEngine,
  type WasmModule,
} from "../../core-wasm/index.ts";
import { readWasm } from "./assets.ts";

let loaded: Promise<Engine> | undefined;
let provided: BufferSource | WasmModule | undefined;

/** Gives the engine's binary to a runtime that cannot look for it: bytes, or a module where none may be compiled. */
export function provideEngine(wasm: BufferSource | WasmModule): void {
  provided = wasm;
}

/** The WASM engine of this package, compiled once a process. */
export function engine(): Promise<Engine> {
  loaded ??= Promise.resolve()
    .then(() => provided ?? readWasm(engineUrl()))
    .then(loadEngine)
    .catch((error: unknown) => {
      loaded = undefined;
      throw error;
    });
  return loaded;
}
