import { CapstanError, show } from "../../models/errors.ts";
import type { WasmModule } from "../webassembly.ts";
import { type TextCall, TextInstance } from "./instance.ts";

/** An added token with the id it has got. */
export interface OpenedToken {
  id: number;
  content: string;
  /** A control token; the others are tags that may be part of a reply's text. */
  special: boolean;
}

/** An added token in a text: UTF-16 units [start, end), the whitespace it takes along included. */
export interface AddedTokenPlace {
  id: number;
  start: number;
  end: number;
}

/** Tokens of a text: by token its id, the UTF-16 units [start, end) it stands for, and 1 where it is an added one. */
export interface TokenPlaces {
  ids: Int32Array;
  starts: Int32Array;
  ends: Int32Array;
  is_added: Int32Array;
}

/** A stretch of a text in UTF-16 units. */
interface Range {
  start: number;
  end: number;
}

/** What the module says of a tokenizer that it opened. */
interface Described {
  size: number;
  added: OpenedToken[];
  bytes: number[];
}

/** What an instance's memory may grow by before it is dropped for a new one. */
const MOST_GROWTH = 64 * 2 ** 20;

/**
 * A tokenizer in an instance of the module. When a text makes the instance trap or grow, the next call gets a new one,
 * made of the tables that are kept: some milliseconds, whatever the vocabulary.
 */
export class OpenTokenizer {
  /** Ids lie below this. */
  readonly size: number;
  /** By id. */
  readonly added: readonly OpenedToken[];
  /** Ids of the tokens that stand for single bytes (`<0xE2>`), where the decoder joins them to characters. */
  readonly bytes: ReadonlySet<number>;
  #source: { module: WasmModule; tables: Uint8Array; settings: Uint8Array } | undefined;
  #instance: TextInstance | undefined;
  /** Bytes of an instance that has encoded nothing yet. */
  #bytes = 0;

  constructor(module: WasmModule, tables: Uint8Array, rest: Record<string, unknown>) {
    this.#source = { module, tables, settings: new TextEncoder().encode(JSON.stringify(rest)) };
    const { described } = this.#open("read tokenizer.json");
    this.size = described.size;
    this.added = described.added.sort((a, b) => a.id - b.id);
    this.bytes = new Set(described.bytes);
  }

  /** Ids of a text. `special`: whether added tokens in it become tokens. */
  encode(text: string, special: boolean): Int32Array {
    return asInts(this.#call(`encode ${show(text)}`, "encode", [utf8(text)], special ? 1 : 0));
  }

  /**
   * Ids of a text in which added tokens become tokens, but none that has a character in one of the `plain` stretches,
   * which are in order and apart.
   */
  locate(text: string, plain: readonly Range[]): TokenPlaces {
    const input = [asBytes(plain.flatMap(({ start, end }) => [start, end])), utf8(text)];
    const rows = asInts(this.#call("encode a chat", "locate", input, plain.length));
    const column = (k: number) => Int32Array.from({ length: rows.length / 4 }, (_, i) => rows[4 * i + k]!);
    return { ids: column(0), starts: column(1), ends: column(2), is_added: column(3) };
  }

  /** The added tokens that stand in a text, in order. */
  findAdded(text: string): AddedTokenPlace[] {
    const rows = asInts(this.#call("find added tokens", "find_added", [utf8(text)], 0));
    const at = (i: number) => ({ id: rows[i]!, start: rows[i + 1]!, end: rows[i + 2]! });
    return Array.from({ length: rows.length / 4 }, (_, i) => at(4 * i));
  }

  /** Text of ids; those that stand for nothing are left out. */
  decode(ids: readonly number[], skip_special_tokens: boolean): string {
    const output = this.#call("decode tokens", "decode", [asBytes(ids)], skip_special_tokens ? 1 : 0);
    return decoder.decode(output);
  }

  /** The id of any token by its text. */
  tokenToId(token: string): number | undefined {
    return asInts(this.#call(`look up ${show(token)}`, "token_to_id", [utf8(token)], 0))[0];
  }

  /** Frees its memory; calls after it throw `tokenizer`. */
  dispose(): void {
    this.#source = this.#instance = undefined;
  }

  #open(action: string): { instance: TextInstance; described: Described } {
    if (this.#source === undefined) {
      throw new CapstanError("tokenizer", {
        action,
        need: "a tokenizer in use",
        found: "one that was disposed of",
      });
    }
    const { module, tables, settings } = this.#source;
    const instance = new TextInstance(module, action);
    const length = asBytes([tables.length]);
    const described: Described = JSON.parse(
      decoder.decode(instance.call("open", [length, tables, settings])),
    );
    this.#instance = instance;
    this.#bytes = instance.bytes;
    return { instance, described };
  }

  /** The output is a copy. */
  #call(action: string, name: TextCall, input: readonly Uint8Array[], arg: number): Uint8Array<ArrayBuffer> {
    const instance = this.#instance ?? this.#open(action).instance;
    instance.action = action;
    try {
      return instance.call(name, input, arg).slice();
    } finally {
      if (instance.lost || instance.bytes - this.#bytes > MOST_GROWTH) this.#instance = undefined;
    }
  }
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Half a surrogate pair becomes U+FFFD: UTF-8 has no form for it. */
function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function asBytes(numbers: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(numbers).buffer);
}

function asInts(bytes: Uint8Array<ArrayBuffer>): Int32Array {
  return new Int32Array(bytes.buffer);
}
