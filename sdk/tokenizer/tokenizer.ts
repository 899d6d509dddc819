import { CapstanError, show } from "../../models/index.ts";
import type { Message, TemplateArgs, Tokenizer } from "../types.ts";
import type { AddedTokens } from "./added.ts";
import { checkChat, encodeChat, encodePieces } from "./chat.ts";
import type { Frame } from "./frame.ts";
import type { ChatTemplate } from "./template.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** The chat template to render with: some models have another one for when tools are given. */
export type ChooseTemplate = (args: TemplateArgs) => ChatTemplate;

/** Joins vocabulary, added tokens and chat template. */
export function makeTokenizer(
  vocabulary: Vocabulary,
  added: AddedTokens,
  frame: Frame,
  choose: ChooseTemplate | null,
): Tokenizer {
  const trace = (messages: readonly Message[], args: TemplateArgs) => {
    if (choose === null) throw noTemplate();
    const full = checkChat(messages, args);
    for (const { role } of messages) if (added.occursIn(role)) throw controlRole(role);
    return choose(full).trace(messages, full, new Date());
  };
  return {
    size: vocabulary.size,
    has_chat_template: choose !== null,
    tokenId: (text) => added.by_text.get(text)?.id,
    encode(text, { special = "text", add_special_tokens = false } = {}) {
      if (typeof text !== "string") throw badText(text);
      const ids =
        special === "text"
          ? vocabulary.encode(text, true).ids
          : encodePieces(text, vocabulary, added).flatMap((piece) => piece.ids);
      return Int32Array.from(add_special_tokens ? [...frame.before, ...ids, ...frame.after] : ids);
    },
    decode(ids, { skip_special_tokens = false } = {}) {
      const list = Array.from(ids);
      for (const id of list)
        if (!Number.isInteger(id) || id < 0 || id >= vocabulary.size) throw badId(id, vocabulary);
      const is_kept = (id: number) => added.by_id.get(id)?.special !== true;
      return vocabulary.decode(skip_special_tokens ? list.filter(is_kept) : list);
    },
    renderChat(messages, args = {}) {
      return trace(messages, args).value;
    },
    encodeChat(messages, args = {}) {
      return encodeChat(messages, trace(messages, args), vocabulary, added);
    },
  };
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
  };
}

function noTemplate(): CapstanError {
  return new CapstanError("tokenizer", {
    action: "render a chat",
    need: "a chat template in tokenizer_config.json or chat_template.jinja",
    found: "neither",
    mend: "Give the prompt as text instead.",
  });
}

function controlRole(role: string): CapstanError {
  const parts = { action: "encode a chat", need: "roles without control tokens in them", found: show(role) };
  return new CapstanError("bad_request", parts);
}

function badText(text: unknown): CapstanError {
  return new CapstanError("bad_request", { action: "encode a text", need: "text", found: show(text) });
}

function badId(id: unknown, { size }: Vocabulary): CapstanError {
  const need = `ids from 0 to ${size - 1}`;
  return new CapstanError("bad_request", { action: "decode tokens", need, found: show(id) });
}
