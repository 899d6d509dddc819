import type { Condition, Reading, Sampling } from "../backend/backend.ts";
import type { Conversation, ReplyState, Settings, Token, Turn } from "../state/conversation.ts";

/** A conversation as JSON holds it: what is exported, and what a link carries. */
export interface Snapshot {
  format: "capstan-chat";
  version: 1;
  settings: Settings;
  turns: { user: string; replies: (ReplySnapshot | null)[] }[];
}

export interface ReplySnapshot {
  condition: Condition;
  status: "done" | "stopped" | "failed";
  finish_reason: string | null;
  effect: ReplyState["effect"];
  tokens: { text: string; before?: number; after?: number; reasoning?: true }[];
  /** Where the tokens have no readings of their own. */
  means?: Reading;
}

export function snapshotOf({ settings, turns }: Conversation): Snapshot {
  return {
    format: "capstan-chat",
    version: 1,
    settings: structuredClone(settings),
    turns: turns.map(({ user, replies }) => ({
      user,
      replies: replies.map((one) => one && replySnapshot(one)),
    })),
  };
}

function replySnapshot(reply: ReplyState): ReplySnapshot {
  const { condition, status, finish_reason, effect, tokens, means } = reply;
  return {
    condition,
    status: status === "running" ? "stopped" : status,
    finish_reason,
    effect,
    tokens: tokens.map(({ text, is_reasoning, reading }) => ({
      text,
      ...reading,
      ...(is_reasoning ? { reasoning: true as const } : {}),
    })),
    ...(means === null ? {} : { means }),
  };
}

/** A snapshot is somebody else's: it is no larger than this, and holds what it must. */
const MOST = { turns: 1000, tokens: 100_000, text: 1_000_000 };

/** @throws Error that says what is wrong with it */
export function readSnapshot(value: unknown): { settings: Settings; turns: Omit<Turn, "id">[] } {
  const { format, version, settings, turns } = objectOf(value, "the conversation");
  if (format !== "capstan-chat" || version !== 1) throw wrong("the conversation", "one of this page");
  return { settings: readSettings(settings), turns: listOf(turns, "turns", MOST.turns).map(readTurn) };
}

function readSettings(value: unknown): Settings {
  const { model, system, conditions, layer, sampling } = objectOf(value, "settings");
  const list = listOf(conditions, "conditions", 2).map(readCondition);
  if (list.length === 0) throw wrong("conditions", "one or two");
  return {
    model: textOf(model, "model"),
    system: textOf(system, "system"),
    conditions: list,
    layer: layer === null ? null : wholeOf(layer, "layer", 0, 10_000),
    sampling: readSampling(sampling),
  };
}

function readSampling(value: unknown): Sampling {
  const { temperature, max_tokens, seed } = objectOf(value, "sampling");
  return {
    temperature: numberOf(temperature, "temperature", 0, 2),
    max_tokens: wholeOf(max_tokens, "max_tokens", 1, 1_000_000),
    seed: seed === null ? null : wholeOf(seed, "seed", 0, Number.MAX_SAFE_INTEGER),
  };
}

function readCondition(value: unknown): Condition {
  const { cap, steering } = objectOf(value, "a condition");
  return { cap: readCap(cap), steering: numberOf(steering, "steering", -1000, 1000) };
}

function readCap(value: unknown): Condition["cap"] {
  if (value === null) return null;
  if (typeof value === "string") return textOf(value, "cap");
  const { start, end, percentile } = objectOf(value, "cap");
  return {
    start: wholeOf(start, "cap.start", 0, 10_000),
    end: wholeOf(end, "cap.end", 1, 10_000),
    percentile: numberOf(percentile, "cap.percentile", 0, 100),
  };
}

function readTurn(value: unknown): Omit<Turn, "id"> {
  const { user, replies } = objectOf(value, "a turn");
  return {
    user: textOf(user, "user"),
    replies: listOf(replies, "replies", 2).map((one) => (one === null ? null : readReply(one))),
  };
}

function readReply(value: unknown): ReplyState {
  const { condition, status, finish_reason, effect, tokens, means } = objectOf(value, "a reply");
  return {
    condition: readCondition(condition),
    status: status === "failed" || status === "stopped" ? status : "done",
    finish_reason: finish_reason === null ? null : textOf(finish_reason, "finish_reason"),
    effect: effect === null ? null : readEffect(effect),
    tokens: listOf(tokens, "tokens", MOST.tokens).map(readToken),
    error: null,
    means: means === undefined ? null : readReading(objectOf(means, "means")),
  };
}

function readEffect(value: unknown): ReplyState["effect"] {
  const { touched, tokens, mean_shift } = objectOf(value, "effect");
  return {
    touched: wholeOf(touched, "touched", 0, MOST.text),
    tokens: wholeOf(tokens, "tokens", 0, MOST.text),
    mean_shift: numberOf(mean_shift, "mean_shift"),
  };
}

function readToken(value: unknown): Token {
  const token = objectOf(value, "a token");
  return {
    text: textOf(token.text, "text"),
    is_reasoning: token.reasoning === true,
    reading: readReading(token),
  };
}

function readReading({ before, after }: Record<string, unknown>): Reading {
  return {
    ...(before === undefined ? {} : { before: numberOf(before, "before") }),
    ...(after === undefined ? {} : { after: numberOf(after, "after") }),
  };
}

function objectOf(value: unknown, name: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw wrong(name, "an object");
}

function listOf(value: unknown, name: string, most: number): unknown[] {
  if (Array.isArray(value) && value.length <= most) return value;
  throw wrong(name, `a list of at most ${most}`);
}

function textOf(value: unknown, name: string): string {
  if (typeof value === "string" && value.length <= MOST.text) return value;
  throw wrong(name, "a text");
}

function numberOf(value: unknown, name: string, min = -Number.MAX_VALUE, max = Number.MAX_VALUE): number {
  if (typeof value === "number" && value >= min && value <= max) return value;
  throw wrong(name, "a number in its range");
}

function wholeOf(value: unknown, name: string, min: number, max: number): number {
  if (Number.isSafeInteger(value)) return numberOf(value, name, min, max);
  throw wrong(name, "a whole number");
}

function wrong(name: string, need: string): Error {
  return new Error(`This is no conversation that can be shown: ${name} must be ${need}.`);
}
