import type { Message } from "../../types.ts";

/** Where a response's activation lies: a row of a shard, and what the shard's file must be. */
export interface ActivationPlace {
  shard: number;
  row: number;
  /** Size of the shard's file. */
  bytes: number;
  /** CRC-32 of the shard's file, in hex; absent in runs of versions that kept none. */
  crc32?: string;
}

/** A response without its texts: what a run has in memory of each. */
export interface ResponseEntry {
  /** `{role}_p{prompt}_q{question}_s{sample}`: unique in a run. */
  key: string;
  role: string;
  group?: string;
  /** Index of the system prompt. */
  prompt: number;
  /** Id of the question. */
  question: number | string;
  sample: number;
  seed: number;
  /** Tokens of the reply, the one that ended it left out. */
  tokens: number;
  finish_reason: "stop" | "length";
  /** Absent when the response came without one. */
  activation?: ActivationPlace;
}

/** A line of `responses.jsonl`. */
export interface ResponseRecord extends ResponseEntry {
  /** What the model was given. */
  messages: Message[];
  text: string;
}

/** A line of `scores.jsonl`. */
export interface ScoreRecord {
  key: string;
  /** 0 refused, 1 says it cannot be the role, 2 some of the role, 3 fully in role; null where the judge gave none. */
  score: number | null;
  /** What the judge measured on the way, where it does. */
  level?: number;
  /** Which judge: scores of another one are not mixed in. */
  judge: string;
  /** CRC-32 of the role's judge prompt, of a judge that goes by one: under another prompt it is asked again. */
  prompt?: string;
  /** What the judge wrote. */
  reply?: string;
  /** Why there is no score, where it is not the reply that has none. */
  error?: string;
}

/** A line of `skipped.jsonl`: a prompt that the model could not be given, or a role whose file is bad. */
export interface SkippedRecord {
  role: string;
  /** Of the response that was to be made; absent where the whole role was left out. */
  key?: string;
  prompt?: number;
  question?: number | string;
  sample?: number;
  /** Of the error: `context_overflow`, `bad_request` (the chat template refused it), `tokenizer`, `bad_file`. */
  code: string;
  /** The error's message. */
  reason: string;
}

/** Whether a record holds what the rest of the code relies on. */
export function isResponse(value: unknown): value is ResponseRecord {
  const record = value as Partial<ResponseRecord>;
  const where = record.activation;
  return (
    typeof record.key === "string" &&
    typeof record.role === "string" &&
    typeof record.text === "string" &&
    Number.isSafeInteger(record.tokens) &&
    Array.isArray(record.messages) &&
    (where === undefined || [where.shard, where.row, where.bytes].every((n) => Number.isSafeInteger(n)))
  );
}

export function isScore(value: unknown): value is ScoreRecord {
  const record = value as Partial<ScoreRecord>;
  const is_score = record.score === null || Number.isFinite(record.score);
  return typeof record.key === "string" && is_score && typeof record.judge === "string";
}

export function isSkipped(value: unknown): value is SkippedRecord {
  const record = value as Partial<SkippedRecord>;
  return [record.role, record.code, record.reason].every((text) => typeof text === "string");
}
