import type { OpenTokenizer, TokenPlaces } from "../../../core-wasm/text/index.ts";
import { lastOf } from "../../../models/certain.ts";
import { CapstanError, isObject, show } from "../../../models/index.ts";
import type { EncodedChat, Message, Span, TemplateArgs } from "../../types.ts";
import type { Str } from "../jinja/index.ts";
import { locateContents, type Region } from "./spans.ts";

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
  tokenizer: OpenTokenizer,
): EncodedChat {
  const places = tokenizer.locate(rendering.value, joined(rendering.runs));
  const regions = locateContents(rendering, messages.length);
  return { tokens: places.ids, spans: findSpans(messages, regions, places) };
}

/** The stretches of a text that regions cover, in order and apart. */
function joined(regions: readonly Region[]): { start: number; end: number }[] {
  const stretches: { start: number; end: number }[] = [];
  for (const { start, end } of [...regions].sort((a, b) => a.start - b.start)) {
    const last = stretches.at(-1);
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else stretches.push({ start, end });
  }
  return stretches;
}

/** One span a message, in order; an empty one, after the span before it, where the template drops the content. */
function findSpans(
  messages: readonly Message[],
  regions: readonly (Region | null)[],
  places: TokenPlaces,
): Span[] {
  let last = 0;
  let read = 0;
  return messages.map(({ role }, turn) => {
    const region = regions[turn] ?? null;
    if (region === null) return { role, turn, start: last, end: last };
    // A template may put messages in another order.
    const from = region.start >= read ? last : 0;
    read = region.end;
    const start = firstAfter(places, region.start, from);
    last = firstNotBefore(places, region.end, start);
    return { role, turn, start, end: last };
  });
}

/**
 * The first token from `from` on that ends after character `at`: the one the character is in. A control token that
 * takes whitespace along is none of the text's own.
 */
function firstAfter({ ids, starts, ends, is_added }: TokenPlaces, at: number, from: number): number {
  for (let i = from; i < ids.length; i++) {
    if (ends[i]! > at && !(is_added[i] === 1 && starts[i]! < at)) return i;
  }
  return ids.length;
}

/** The first one that does not start before character `at`, or the control token that took the text's end along. */
function firstNotBefore({ ids, starts, ends, is_added }: TokenPlaces, at: number, from: number): number {
  for (let i = from; i < ids.length; i++) {
    if (starts[i]! >= at || (is_added[i] === 1 && ends[i]! >= at)) return i;
  }
  return ids.length;
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
  const is_open = continue_final_message || lastOf(messages).role === "assistant";
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
