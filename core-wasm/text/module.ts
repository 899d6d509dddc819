import { CapstanError } from "../../models/errors.ts";
import { pickBuild } from "../builds/pick.ts";
import { TEXT_BUILDS } from "../builds/table.ts";
import { compileModule, type WasmModule, type WasmSource } from "../webassembly.ts";
import { TextInstance } from "./instance.ts";
import { OpenTokenizer } from "./tokenizer.ts";

/**
 * Where the module's binary for this runtime lies, for platform code to read. In workerd, whose modules have no URL,
 * the binary is imported (`sdk/platform/workerd.ts`).
 *
 * @throws CapstanError `unsupported` where the runtime can run no build
 */
export function textUrl(): URL {
  return pickBuild("the tokenizer module", TEXT_BUILDS).url();
}

/** A tokenizer.json, read. */
export interface TokenizerFile {
  /** Its vocabulary and merges as tables, ready for use: what `open` takes. */
  tables: Uint8Array;
  /** All the rest of it: `model` without `vocab` and `merges`. */
  rest: Record<string, unknown>;
}

/** The module, compiled once: every tokenizer is an instance of it. */
export class TextModule {
  readonly #module: WasmModule;

  constructor(module: WasmModule) {
    this.#module = module;
  }

  /**
   * Reads a tokenizer.json.
   *
   * @throws CapstanError `bad_file` where it is no JSON object, `tokenizer` where its model cannot work
   */
  readFile(json: Uint8Array): TokenizerFile {
    // An instance of its own: its memory grows by several times the file, and goes with it.
    const instance = new TextInstance(this.#module, "read tokenizer.json");
    const output = instance.call("read_file", [json]);
    const n_tables = new DataView(output.buffer, output.byteOffset).getUint32(0, true);
    const rest = JSON.parse(new TextDecoder().decode(output.subarray(4 + n_tables)));
    return { tables: output.slice(4, 4 + n_tables), rest };
  }

  /**
   * Makes a tokenizer of what `readFile` gave; `rest` may have other added tokens than the file.
   *
   * @throws CapstanError `tokenizer` where its parts cannot work
   */
  open({ tables, rest }: TokenizerFile): OpenTokenizer {
    return new OpenTokenizer(this.#module, tables, rest);
  }
}

/**
 * @param wasm the bytes at `textUrl()`, the response that brings them, or a module compiled from them (workers may only
 *   import one)
 * @throws CapstanError `unsupported` where the runtime cannot run it
 */
export async function loadText(wasm: WasmSource): Promise<TextModule> {
  try {
    return new TextModule(await compileModule(wasm));
  } catch (cause) {
    throw new CapstanError(
      "unsupported",
      { action: "load the tokenizer module", need: "a runtime with WebAssembly SIMD", found: String(cause) },
      { cause },
    );
  }
}
