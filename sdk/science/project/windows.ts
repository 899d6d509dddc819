import { itemAt, lastOf } from "../../../models/certain.ts";
import { CapstanError } from "../../../models/index.ts";
import type { EncodedChat, Message } from "../../types.ts";

/**
 * A part of a conversation that is read as one chat: the system message, if there is one, and the messages
 * [context, end). Those of [start, end) are read for their own sake, those before them as their past.
 */
export interface Window {
  context: number;
  start: number;
  end: number;
}

/** A window with what the chat template makes of it. */
export interface EncodedWindow extends Window {
  /** Indices into the conversation of the messages it reads, in order. */
  turns: number[];
  encoded: EncodedChat;
}

/**
 * Cuts a conversation into windows of at most `limit` tokens, of whole messages and each with the system message. One
 * that fits is one window. Else each window after the first begins, where there is one, at a message of the user, with
 * as much past as half the limit holds, and reads on as far as the limit goes: at most about twice the tokens in all.
 *
 * @param encode a chat of these messages, as the model reads it
 * @param fix for the error: how there is more space
 * @throws CapstanError `context_overflow` for a message that does not fit with the system message alone
 */
export function windowsOf(
  messages: readonly Message[],
  limit: number,
  encode: (messages: readonly Message[]) => EncodedChat,
  fix = "Load the model with a larger n_ctx (--n_ctx), or cut the message.",
): EncodedWindow[] {
  const system = messages[0]?.role === "system" ? [0] : [];
  const read = (context: number, start: number, end: number): EncodedWindow => {
    const own = Array.from({ length: end - context }, (_, i) => context + i);
    const turns = context === 0 ? own : [...system, ...own];
    return { context, start, end, turns, encoded: encode(turns.map((turn) => itemAt(messages, turn))) };
  };
  const fits = ({ encoded }: EncodedWindow, tokens: number) => encoded.tokens.length <= tokens;
  const whole = read(0, 0, messages.length);
  if (fits(whole, limit)) return [whole];

  const windows: EncodedWindow[] = [];
  for (let start = 0; start < messages.length; start = lastOf(windows).end) {
    const context = start === 0 ? 0 : pastOf(messages, start, system.length, whole, limit);
    // The past gives way to a long message.
    const first = [context, start]
      .map((at) => read(at, start, start + 1))
      .find((window) => fits(window, limit));
    if (first === undefined)
      throw tooLong(messages, start, limit, read(start, start, start + 1).encoded.tokens.length, fix);
    windows.push(
      longest(
        first,
        messages.length,
        (end) => read(first.context, start, end),
        (w) => fits(w, limit),
      ),
    );
  }
  return windows;
}

/** The earliest message of the user before `start` with which the past takes half the limit; `start` where none is. */
function pastOf(
  messages: readonly Message[],
  start: number,
  after: number,
  { encoded: { spans } }: EncodedWindow,
  limit: number,
): number {
  let context = start;
  const size = (at: number) =>
    itemAt(spans, start - 1).end - itemAt(spans, at).start + (after === 0 ? 0 : itemAt(spans, 0).end);
  for (let at = start - 1; at >= after && size(at) <= limit / 2; at--) {
    if (itemAt(messages, at).role === "user") context = at;
  }
  return context;
}

/** The longest window that fits: more messages make more tokens. */
function longest(
  first: EncodedWindow,
  n: number,
  read: (end: number) => EncodedWindow,
  fits: (window: EncodedWindow) => boolean,
): EncodedWindow {
  let [best, too_long] = [first, n + 1];
  for (let step = 1; best.end + 1 < too_long; step *= 2) {
    const end = Math.min(best.end + step, too_long - 1);
    const window = read(end);
    if (fits(window)) best = window;
    else [too_long, step] = [end, 0.5];
  }
  return best;
}

function tooLong(
  messages: readonly Message[],
  turn: number,
  limit: number,
  tokens: number,
  fix: string,
): CapstanError {
  return new CapstanError("context_overflow", {
    action: "project",
    need: `messages of at most ${limit} tokens each, the system message among them`,
    found: `${tokens} at turn ${turn} (${itemAt(messages, turn).role})`,
    fix,
  });
}
