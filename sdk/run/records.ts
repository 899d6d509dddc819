import type { Message } from "../types.ts";

/** A line of `responses.jsonl`. */
export interface ResponseRecord {
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
  /** What the model was given. */
  messages: Message[];
  text: string;
  /** Tokens of the reply, the one that ended it left out. */
  tokens: number;
  finish_reason: "stop" | "length";
  /** Where its activation lies; absent when the response came without one. */
  activation?: { shard: number; row: number; bytes: number };
}

/** A line of `scores.jsonl`. */
export interface ScoreRecord {
  key: string;
  /** 0 refused, 1 says it cannot be the role, 2 some of the role, 3 fully in role. */
  score: number;
  /** What the judge measured on the way, where it does. */
  level?: number;
  /** Which judge: scores of another one are not mixed in. */
  judge: string;
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
  return typeof record.key === "string" && Number.isFinite(record.score) && typeof record.judge === "string";
}
