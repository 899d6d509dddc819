import { CapstanError } from "../../models/errors.ts";
import { pickBuild } from "../builds/pick.ts";
import { ENGINE_BUILDS } from "../builds/table.ts";
import { compileModule, type WasmModule, type WasmSource } from "../webassembly.ts";
import { type Imports, Instance } from "./instance.ts";
import type { SafetensorsHeader } from "./safetensors.ts";

/**
 * Where the engine's binary for this runtime lies, for platform code to read: nothing here reads files. In workerd,
 * whose modules have no URL, the binary is imported (`sdk/platform/workerd.ts`).
 *
 * @throws CapstanError `unsupported` where the runtime can run no build
 */
export function engineUrl(): URL {
  return pickBuild("the engine", ENGINE_BUILDS).url();
}

/**
 * The engine, compiled once: devices take instances of it, and it validates safetensors headers.
 *
 * @example
 * const engine = await loadEngine(await readFile(engineUrl()));
 * const device = createWasmDevice(engine);
 */
export class Engine {
  /** What it was compiled to: a worker takes it without compiling it again. */
  readonly module: WasmModule;

  constructor(module: WasmModule) {
    this.module = module;
  }

  /** A new instance, with memory of its own. */
  instantiate(imports: Imports = {}): Instance {
    return new Instance(this.module, imports);
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
 * @param wasm the bytes at `engineUrl()`, the response that brings them, or a module compiled from them (workers may only
 *   import one)
 * @throws CapstanError `unsupported` where the runtime cannot run it
 */
export async function loadEngine(wasm: WasmSource): Promise<Engine> {
  try {
    return new Engine(await compileModule(wasm));
  } catch (cause) {
    throw new CapstanError(
      "unsupported",
      { action: "load the engine", need: "a runtime with WebAssembly SIMD", found: String(cause) },
      { cause },
    );
  }
}
