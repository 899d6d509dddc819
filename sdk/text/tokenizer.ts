import type { OpenTokenizer } from "../../core-wasm/text/index.ts";
import { CapstanError, show } from "../../models/index.ts";
import { boolean, oneOf, type Rules, readOptions } from "../common/options.ts";
import { isIntegerArray } from "../common/token_ids.ts";
import type { DecodeOptions, EncodeOptions, Message, TemplateArgs, Tokenizer } from "../types.ts";
import { checkChat, encodeChat } from "./chat/chat.ts";
import type { ChatTemplate } from "./chat/template.ts";
import { type StreamRules, setStreamRules } from "./stream/stream_rules.ts";
import type { AddedTokens } from "./vocabulary/added.ts";
import { type Frame, isId } from "./vocabulary/frame.ts";

const ENCODE_RULES: Rules<EncodeOptions> = { special: oneOf("text", "parse"), add_special_tokens: boolean };
const DECODE_RULES: Rules<DecodeOptions> = { skip_special_tokens: boolean };

/** The chat template to render with: some models have another one for when tools are given. */
export type ChooseTemplate = (args: TemplateArgs) => ChatTemplate;

/** What a tokenizer is put together from. */
export interface TokenizerParts {
  core: OpenTokenizer;
  added: AddedTokens;
  frame: Frame;
  choose: ChooseTemplate | null;
  /** Source of the template that it chooses for a plain chat. */
  chat_template: string | null;
  stream_rules: StreamRules;
}

/** Joins vocabulary, added tokens and chat template. */
export function makeTokenizer({
  core,
  added,
  frame,
  choose,
  chat_template,
  stream_rules,
}: TokenizerParts): Tokenizer {
  const trace = (messages: readonly Message[], args: TemplateArgs) => {
    if (choose === null) throw noTemplate();
    const full = checkChat(messages, args);
    for (const { role } of messages) if (added.occursIn(role)) throw controlRole(role);
    return choose(full).trace(messages, full, new Date());
  };
  const tokenizer: Tokenizer = {
    size: core.size,
    has_chat_template: choose !== null,
    chat_template,
    tokenId: (text) => added.by_text.get(text)?.id,
    encode(text, options) {
      if (typeof text !== "string") throw badText(text);
      const { special, add_special_tokens } = readOptions("encode a text", options, ENCODE_RULES);
      const ids = core.encode(text, special === "parse");
      if (add_special_tokens !== true) return ids;
      return Int32Array.from([...frame.before, ...ids, ...frame.after]);
    },
    decode(ids, options) {
      const { skip_special_tokens } = readOptions("decode tokens", options, DECODE_RULES);
      return core.decode(checkIds(ids, core.size), skip_special_tokens === true);
    },
    renderChat(messages, args = {}) {
      return trace(messages, args).value;
    },
    encodeChat(messages, args = {}) {
      return encodeChat(messages, trace(messages, args), core);
    },
    dispose: () => core.dispose(),
  };
  setStreamRules(tokenizer, stream_rules);
  return tokenizer;
}

/** A tokenizer for a model whose own cannot be had: every use of it throws the error that says why. */
export function missingTokenizer(error: CapstanError): Tokenizer {
  const fail = (): never => {
    throw error;
  };
  return {
    encode: fail,
    decode: fail,
    renderChat: fail,
    encodeChat: fail,
    tokenId: fail,
    get size() {
      return fail();
    },
    has_chat_template: false,
    chat_template: null,
    dispose() {},
  };
}

function checkIds(ids: unknown, size: number): number[] {
  const bad = (need: string, found: string) =>
    new CapstanError("bad_request", { action: "decode tokens", need, found });
  if (!isIntegerArray(ids) && !isIterable(ids)) {
    throw bad("token ids as a list, an array of integers or another iterable", show(ids));
  }
  return Array.from<unknown, number>(ids, (given, i) => {
    const id = typeof given === "bigint" ? Number(given) : given;
    if (isId(id) && id < size) return id;
    throw bad(`token ids from 0 to ${size - 1}`, `${show(given)} at index ${i}`);
  });
}

/** Of other things than characters or floating-point numbers, which are no ids. */
function isIterable(value: unknown): value is Iterable<unknown> {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return false;
  return typeof (value as Partial<Iterable<unknown>>)[Symbol.iterator] === "function";
}

function noTemplate(): CapstanError {
  return new CapstanError("tokenizer", {
    action: "render a chat",
    need: "a chat template in tokenizer_config.json or chat_template.jinja",
    found: "neither",
    fix: "Give the prompt as text instead.",
  });
}

function controlRole(role: string): CapstanError {
  const parts = { action: "encode a chat", need: "roles without control tokens in them", found: show(role) };
  return new CapstanError("bad_request", parts);
}

function badText(text: unknown): CapstanError {
  return new CapstanError("bad_request", { action: "encode a text", need: "text", found: show(text) });
}
