import { CapstanError } from "../../models/errors.ts";
import type { InitOutput } from "../pkg/capstan_core.js";
import { type WasmMemory, type WasmModule, wasm_api } from "../webassembly.ts";
import { PackedReader } from "./packed.ts";

/** The engine's exports (`src/ffi.rs`), as wasm-pack wrote their types. */
type EngineExports = Omit<InitOutput, "memory">;

/** What a build takes from outside: one with threads has its memory shared, all others export their own. */
export interface Imports {
  readonly env?: { readonly memory: WasmMemory };
}

interface Live {
  readonly exports: EngineExports;
  readonly memory: WasmMemory;
}

/** Exports that return a status and may leave something in the output. */
type EngineCall = Exclude<
  keyof EngineExports,
  "start" | "input" | "release_input" | "output_ptr" | "output_len" | "panic_ptr" | "panic_len"
>;

/** An element of a chunk of weights that is NaN, infinite or too large. */
export class BadElement extends Error {
  readonly index: number;

  constructor(index: number, found: string) {
    super(found);
    this.index = index;
  }
}

/**
 * One instance of the engine with its own memory. Memory of WebAssembly never shrinks: dropping the instance is
 * what frees it, so every model has one of its own.
 *
 * Views of the memory hold until the next call, which may grow it and detach them.
 */
export class Instance {
  #live: Live | undefined;
  #lost = "a disposed one";

  constructor(module: WasmModule, imports: Imports = {}) {
    try {
      const exports = new wasm_api.Instance(module, imports).exports as EngineExports & {
        memory: WasmMemory;
      };
      this.#live = { exports, memory: imports.env?.memory ?? exports.memory };
    } catch (cause) {
      throw new CapstanError(
        "out_of_memory",
        { action: "start the engine", need: "memory for an instance", found: String(cause) },
        { cause },
      );
    }
    this.#live.exports.start();
  }

  /** Drops the instance; calls after it throw `device_lost`. */
  dispose(): void {
    this.#live = undefined;
  }

  get disposed(): boolean {
    return this.#live === undefined;
  }

  /** Bytes of its memory so far, weights included. */
  get memory_bytes(): number {
    return this.#usable("measure memory").memory.buffer.byteLength;
  }

  /**
   * Writes `bytes` to the engine's input.
   *
   * @throws CapstanError `out_of_memory`
   */
  write(action: string, ...parts: readonly Uint8Array[]): number {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const at = this.#trapped(action, (exports) => exports.input(length)) >>> 0;
    if (at === 0) throw outOfMemory(action, `no memory for ${length} bytes`);
    const area = new Uint8Array(this.#usable(action).memory.buffer, at, length);
    let offset = 0;
    for (const part of parts) {
      area.set(part, offset);
      offset += part.length;
    }
    return length;
  }

  /** Frees the engine's input area. */
  releaseInput(action: string): void {
    this.#trapped(action, (exports) => exports.release_input());
  }

  /**
   * Calls an export and returns its output, a view that holds until the next call.
   *
   * @throws CapstanError as the engine's status says; `internal` when it trapped, after which it is lost
   * @throws BadElement
   */
  call(action: string, name: EngineCall, ...args: number[]): Uint8Array {
    const status = this.#trapped(action, (exports) =>
      (exports[name] as (...args: number[]) => number)(...args),
    );
    const output = this.#output(action);
    if (status === 0) return output;
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes.slice());
    switch (status) {
      case 1:
        throw outOfMemory(action, text(output));
      case 2:
        throw new BadElement(new PackedReader(output).f64(), text(output.subarray(8)));
      case 3:
        throw new CapstanError("bad_file", {
          action,
          need: "a valid safetensors header",
          found: text(output),
        });
      default:
        throw refused(action, text(output));
    }
  }

  /** Floats of the engine's memory, copied: `count` rows of `width` that lie `stride` apart. */
  floats(address: number, count: number, width: number, stride = width): Float32Array {
    const copy = new Float32Array(count * width);
    if (copy.length === 0) return copy;
    const memory = new Float32Array(this.#usable("read results").memory.buffer, address);
    if (width === stride) copy.set(memory.subarray(0, copy.length));
    else
      for (let row = 0; row < count; row++)
        copy.set(memory.subarray(row * stride, row * stride + width), row * width);
    return copy;
  }

  #output(action: string): Uint8Array {
    const { exports, memory } = this.#usable(action);
    return new Uint8Array(memory.buffer, exports.output_ptr() >>> 0, exports.output_len() >>> 0);
  }

  #usable(action: string): Live {
    if (this.#live !== undefined) return this.#live;
    throw new CapstanError("device_lost", { action, need: "a living device", found: this.#lost });
  }

  /** A trap leaves the engine's state half changed: the instance is lost, and the panic's message kept. */
  #trapped<T>(action: string, work: (exports: EngineExports) => T): T {
    const { exports, memory } = this.#usable(action);
    try {
      return work(exports);
    } catch (cause) {
      const panic = new Uint8Array(memory.buffer, exports.panic_ptr() >>> 0, exports.panic_len() >>> 0);
      const message = new TextDecoder().decode(panic.slice()) || String(cause);
      this.#live = undefined;
      this.#lost = `one that failed before (${message})`;
      throw new CapstanError(
        "internal",
        {
          action,
          need: "the engine to run to its end",
          found: message,
          fix: "The model must be loaded again.",
        },
        { cause },
      );
    }
  }
}

function outOfMemory(action: string, found: string): CapstanError {
  return new CapstanError("out_of_memory", {
    action,
    need: "space in WebAssembly's memory (4 GiB at most)",
    found,
    fix: "A smaller dtype, context or batch takes less.",
  });
}

/** The engine's text reads "what is needed, found what there is". */
function refused(action: string, text: string): CapstanError {
  const [need = "", found = "something else"] = text.split(", found ");
  return new CapstanError("bad_request", { action, need, found });
}
