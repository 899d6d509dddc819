import { CapstanError } from "../../models/errors.ts";
import { type WasmModule, wasm_api } from "../webassembly.ts";

/** The module's exports (`src/ffi.rs`). */
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  start(seed: number): void;
  panic_ptr(): number;
  panic_len(): number;
  input(length: number): number;
  output_ptr(): number;
  output_len(): number;
  read_file(length: number): number;
  open(length: number): number;
  encode(length: number, special: number): number;
  locate(length: number, n_plain: number): number;
  find_added(length: number, n_plain: number): number;
  decode(length: number, skip_special_tokens: number): number;
  token_to_id(length: number): number;
}

/** Exports that take an input and leave something in the output. */
export type TextCall = Exclude<
  keyof Exports,
  "memory" | "start" | "input" | "output_ptr" | "output_len" | "panic_ptr" | "panic_len"
>;

const BAD_FILE = 1;
/** What parts the two halves of an error's text (`src/error.rs`). */
const SEPARATOR = "\u001f";
/** Some errors quote the file. */
const LONGEST_TEXT = 300;
const FILE_FIX = "The file may be cut short or be of another kind.";
const PARTS_FIX = "Token ids work without it.";

/** One instance of the module, with memory of its own: memory of WebAssembly never shrinks, but goes with it. */
export class TextInstance {
  readonly #exports: Exports;
  /** What is done with it, for messages; the caller changes it. */
  action: string;
  #lost = false;

  constructor(module: WasmModule, action: string) {
    this.action = action;
    try {
      this.#exports = new wasm_api.Instance(module, {}).exports as Exports;
    } catch (cause) {
      const parts = { action, need: "memory for an instance", found: String(cause) };
      throw new CapstanError("out_of_memory", parts, { cause });
    }
    // Hash tables are seeded with it, so that nobody can make texts that collide.
    this.#exports.start(Math.floor(Math.random() * 2 ** 32));
  }

  /** Whether a call trapped: nothing holds any more of what the instance had. */
  get lost(): boolean {
    return this.#lost;
  }

  /** Bytes of its memory. */
  get bytes(): number {
    return this.#exports.memory.buffer.byteLength;
  }

  /**
   * Calls an export with the input's parts, one after the other.
   *
   * @returns its output, a view that holds until the next call
   * @throws CapstanError `bad_file` or `tokenizer` as the module says; `out_of_memory` or `tokenizer` when it trapped
   */
  call(name: TextCall, input: readonly Uint8Array[], ...args: number[]): Uint8Array {
    const exports = this.#exports;
    const length = input.reduce((sum, part) => sum + part.length, 0);
    const status = this.#trapped(() => {
      let at = exports.input(length) >>> 0;
      for (const part of input) {
        new Uint8Array(exports.memory.buffer, at, part.length).set(part);
        at += part.length;
      }
      return exports[name](length, args[0] ?? 0);
    });
    const output = new Uint8Array(
      exports.memory.buffer,
      exports.output_ptr() >>> 0,
      exports.output_len() >>> 0,
    );
    if (status === 0) return output;
    const [need = "", found = ""] = new TextDecoder()
      .decode(output)
      .split(SEPARATOR)
      .map((text) => text.slice(0, LONGEST_TEXT));
    const code = status === BAD_FILE ? "bad_file" : "tokenizer";
    const fix = status === BAD_FILE ? FILE_FIX : PARTS_FIX;
    throw new CapstanError(code, { action: this.action, need, found, fix });
  }

  #trapped<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      this.#lost = true;
      const { memory, panic_ptr, panic_len } = this.#exports;
      const said = new TextDecoder().decode(
        new Uint8Array(memory.buffer, panic_ptr() >>> 0, panic_len() >>> 0),
      );
      const { action } = this;
      // Without memory, or with too deep a recursion, it traps and says nothing.
      if (said === "") {
        const parts = {
          action,
          need: "memory for the work (128 MiB and 1 KiB a byte; 4 GiB at most)",
          found: String(cause),
        };
        throw new CapstanError("out_of_memory", parts, { cause });
      }
      const found = said.replace(/^panicked at /, "").slice(0, LONGEST_TEXT);
      const parts = { action, need: "a tokenizer.json whose parts work", found, fix: PARTS_FIX };
      throw new CapstanError("tokenizer", parts, { cause });
    }
  }
}
