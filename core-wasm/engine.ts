import { CapstanError } from "../models/errors.ts";
import { Instance } from "./instance.ts";
import type { SafetensorsHeader } from "./safetensors.ts";
import { type BufferSource, type WasmModule, wasm_api } from "./webassembly.ts";

/**
 * Where the engine's binary lies, for platform code to read: the door itself reads no files. This is the one
 * place that chooses the build.
 *
 * A function, for workerd's modules have no URL: there the binary is imported (`sdk/platform/workerd.ts`).
 */
export function engineUrl(): URL {
  return new URL("./pkg/capstan_core_bg.wasm", import.meta.url);
}

/**
 * The engine, compiled once: devices take instances of it, and it validates safetensors headers.
 *
 * @example
 * const engine = await loadEngine(await readFile(engineUrl()));
 * const device = createWasmDevice(engine);
 */
export class Engine {
  readonly #module: WasmModule;

  constructor(module: WasmModule) {
    this.#module = module;
  }

  /** A new instance, with memory of its own. */
  instantiate(): Instance {
    return new Instance(this.#module);
  }

  /**
   * Validates a header by the safetensors crate: every tensor's size must be that of its dtype and shape, and
   * they must fill the file without holes or overlaps.
   *
   * @param header the JSON part: the `headerLength` bytes from byte 8 on
   * @param file_size the whole file's size in bytes
   * @param file its name, for messages
   * @throws CapstanError `bad_file`
   */
  parseSafetensorsHeader(
    header: Uint8Array,
    file_size: number,
    file = "a safetensors file",
  ): SafetensorsHeader {
    const action = `read ${file}`;
    // An instance of its own: its memory may grow by a header of 100 MB, and goes with it.
    const instance = this.instantiate();
    const length = instance.write(action, header);
    const json = new TextDecoder().decode(instance.call(action, "parse_header", length, file_size).slice());
    const parsed = JSON.parse(json) as Omit<SafetensorsHeader, "metadata"> & {
      metadata: SafetensorsHeader["metadata"] | null;
    };
    return { ...parsed, metadata: parsed.metadata ?? {} };
  }
}

/**
 * @param wasm the bytes at `engineUrl()`, or a module compiled from them (workers may only import one)
 * @throws CapstanError `unsupported` where the runtime cannot run it
 */
export async function loadEngine(wasm: BufferSource | WasmModule): Promise<Engine> {
  try {
    if (wasm instanceof wasm_api.Module) return new Engine(wasm);
    return new Engine(await wasm_api.compile(wasm as BufferSource));
  } catch (cause) {
    throw new CapstanError(
      "unsupported",
      { action: "load the engine", need: "a runtime with WebAssembly SIMD", found: String(cause) },
      { cause },
    );
  }
}
