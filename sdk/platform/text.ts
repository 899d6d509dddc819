import type { BufferSource, WasmModule } from "../../core-wasm/index.ts";
import { loadText, type TextModule, textUrl } from "../../core-wasm/text/index.ts";
import { readWasm } from "./assets.ts";

let loaded: Promise<TextModule> | undefined;
let provided: BufferSource | WasmModule | undefined;

/** Gives the tokenizers' binary to a runtime that cannot look for it: bytes, or a module where none may be compiled. */
export function provideText(wasm: BufferSource | WasmModule): void {
  provided = wasm;
}

/** The tokenizers' module of this package: read and compiled when text is first needed, once a process. */
export function textModule(): Promise<TextModule> {
  loaded ??= Promise.resolve()
    .then(() => provided ?? readWasm(textUrl()))
    .then(loadText)
    .catch((error: unknown) => {
      loaded = undefined;
      throw error;
    });
  return loaded;
}
