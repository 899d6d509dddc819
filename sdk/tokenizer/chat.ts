import { CapstanError, isObject, show } from "../../models/index.ts";
import type { EncodedChat, Message, Span, TemplateArgs } from "../types.ts";
import type { AddedTokens, Piece } from "./added.ts";
import type { Str } from "./jinja/index.ts";
import { locateContents, type Region } from "./spans.ts";
import type { Vocabulary } from "./vocabulary.ts";

/**
 * Encodes a chat: the template's text with its control tokens, the request's text without, whatever stands in it.
 * Plain text of both kinds between two control tokens is encoded as one, as the model saw it in training.
 *
 * @param rendering knows which characters came with the request: none of these is part of an added token, even where
 *   the template puts `<|` and `|>` around it
 */
export function encodeChat(
  messages: readonly Message[],
  rendering: Str,
  vocabulary: Vocabulary,
  added: AddedTokens,
): EncodedChat {
  const pieces = encodePieces(rendering.value, vocabulary, added, rendering.runs);
  const tokens = Int32Array.from(pieces.flatMap((piece) => piece.ids));
  const regions = locateContents(rendering, messages.length);
  return { tokens, spans: findSpans(messages, regions, new TokenMap(rendering.value, pieces, vocabulary)) };
}

/** A piece of the text with its tokens. */
export interface EncodedPiece extends Piece {
  ids: number[];
  tokens: string[];
}

/** Encodes a text piece by piece; in `plain` regions no added token is found. */
export function encodePieces(
  text: string,
  vocabulary: Vocabulary,
  added: AddedTokens,
  plain: readonly Region[] = [],
): EncodedPiece[] {
  const is_plain = new Uint8Array(text.length);
  for (const { start, end } of plain) is_plain.fill(1, start, end);
  return added.split(text, is_plain).map((piece) => {
    if (piece.token !== null) return { ...piece, ids: [piece.token.id], tokens: [piece.token.content] };
    return { ...piece, ...vocabulary.encode(text.slice(piece.start, piece.end), piece.start === 0) };
  });
}

/** One span a message, in order; an empty one, after the span before it, where the template drops the content. */
function findSpans(messages: readonly Message[], regions: readonly (Region | null)[], map: TokenMap): Span[] {
  let last = 0;
  return messages.map(({ role }, turn) => {
    const region = regions[turn] ?? null;
    if (region === null) return { role, turn, start: last, end: last };
    const start = map.firstAfter(region.start);
    const end = Math.max(start, map.firstNotBefore(region.end));
    last = end;
    return { role, turn, start, end };
  });
}

/** Which tokens a character of the text is in. */
class TokenMap {
  readonly #text: string;
  readonly #pieces: readonly EncodedPiece[];
  readonly #vocabulary: Vocabulary;
  /** Index of each piece's first token. */
  readonly #first: number[] = [];
  readonly #n_tokens: number;
  #measured: { piece: EncodedPiece | null; at: number; length: number } = { piece: null, at: 0, length: 0 };

  constructor(text: string, pieces: readonly EncodedPiece[], vocabulary: Vocabulary) {
    this.#text = text;
    this.#pieces = pieces;
    this.#vocabulary = vocabulary;
    let count = 0;
    for (const piece of pieces) {
      this.#first.push(count);
      count += piece.ids.length;
    }
    this.#n_tokens = count;
  }

  /** The first token that ends after character `at`: the one the character is in. */
  firstAfter(at: number): number {
    return this.#find(at, (_, end, target) => end > target);
  }

  /** The first token that does not start before character `at`. */
  firstNotBefore(at: number): number {
    // A later byte of a character has no length of its own and belongs to what is before it.
    return this.#find(at, (start, end, target) => start >= target && end > start);
  }

  #find(at: number, is_it: (start: number, end: number, target: number) => boolean): number {
    const index = this.#pieces.findIndex((piece) => at < piece.end);
    const piece = this.#pieces[index];
    if (piece === undefined) return this.#n_tokens;
    const first = this.#first[index]!;
    if (at <= piece.start) return first;
    if (piece.token !== null) return is_it(0, 1, 0) ? first : first + 1;
    // In the vocabulary's own alphabet, where the lengths of tokens add up.
    const target = this.#lengthUpTo(at, piece);
    let start = 0;
    for (const [i, token] of piece.tokens.entries()) {
      const end = start + this.#vocabulary.lengthOfToken(token);
      if (is_it(start, end, target)) return first + i;
      start = end;
    }
    return first + piece.tokens.length;
  }

  /** Length of a piece's text before character `at`, measured from where the last question was about. */
  #lengthUpTo(at: number, piece: EncodedPiece): number {
    const known = this.#measured.piece === piece && this.#measured.at <= at ? this.#measured : null;
    const from = known?.at ?? piece.start;
    const text = this.#text.slice(from, at);
    const position = known !== null ? "follows" : from === 0 ? "starts" : "begins_piece";
    const length = (known?.length ?? 0) + (text === "" ? 0 : this.#vocabulary.lengthOf(text, position));
    this.#measured = { piece, at, length };
    return length;
  }
}

/**
 * Refuses what no template could make sense of, and settles how the rendering ends: with the opening of the
 * assistant's turn, unless that has begun or the final message is continued.
 *
 * @throws CapstanError `bad_request`
 */
export function checkChat(messages: readonly Message[], args: TemplateArgs): TemplateArgs {
  checkMessages(messages);
  // null means absent.
  const given: TemplateArgs = Object.fromEntries(
    Object.entries(args).filter(([, value]) => (value ?? null) !== null),
  );
  const { continue_final_message = false, add_generation_prompt } = given;
  if (typeof continue_final_message !== "boolean" && typeof continue_final_message !== "string")
    throw bad("continue_final_message as true, false or the name of a field", show(continue_final_message));
  if (continue_final_message && add_generation_prompt)
    throw bad("continue_final_message or add_generation_prompt", "both");
  const is_open = continue_final_message || messages.at(-1)!.role === "assistant";
  return { ...given, add_generation_prompt: add_generation_prompt ?? !is_open };
}

function checkMessages(messages: readonly Message[]): void {
  if (!Array.isArray(messages) || messages.length === 0)
    throw bad("a list of at least one message", show(messages));
  for (const [turn, message] of messages.entries()) {
    if (typeof message !== "object" || message === null)
      throw bad(`message ${turn} as an object`, show(message));
    const { role, content, tool_calls } = message;
    if (typeof role !== "string" || role === "") throw bad(`a role in message ${turn}`, show(role ?? null));
    // An assistant that only calls tools has no content.
    const may_lack = Array.isArray(tool_calls) && tool_calls.length > 0;
    if (typeof content === "string" || (may_lack && (content ?? null) === null)) continue;
    if (!Array.isArray(content)) throw bad(`content as text in message ${turn}`, show(content ?? null));
    for (const part of content) checkPart(part, turn);
  }
}

/** Contents may come in parts, all of them text. */
function checkPart(part: unknown, turn: number): void {
  const is_text = isObject(part) && part.type === "text" && typeof part.text === "string";
  if (!is_text) throw bad(`parts of text ({ type: "text", text }) in message ${turn}`, show(part));
}

function bad(need: string, found: string): CapstanError {
  return new CapstanError("bad_request", { action: "encode a chat", need, found });
}
