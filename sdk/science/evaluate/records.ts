import { isObject } from "../../../models/index.ts";
import type { Message } from "../../types.ts";
import type { Check } from "./checks.ts";

/** How a reply did in one check of its item. */
export interface Verdict {
  kind: Check["kind"];
  /** Null where a judge's answer had no score, or no judge has been asked yet. */
  passed: boolean | null;
  /** Of a judge. */
  score?: number | null;
  judge?: string;
}

/** A line of `replies.jsonl`. */
export interface ReplyRecord {
  suite: string;
  /** Id of the item. */
  item: string;
  group: string;
  /** `uncapped`, `capped` or `control <n>`. */
  condition: string;
  /** What the model was given. */
  prompt: Message[];
  reply: string;
  /** Tokens of the reply, the one that ended it left out. */
  tokens: number;
  finish_reason: string;
  /** All checks passed; null where one is not known. */
  passed: boolean | null;
  checks: Verdict[];
}

/** A line of `judgements.jsonl`: what a judge said of a reply. */
export interface JudgementRecord {
  suite: string;
  item: string;
  condition: string;
  /** Index of the check in its item. */
  check: number;
  judge: string;
  /** Null where its answer had none. */
  score: number | null;
}

export function isReply(value: unknown): value is ReplyRecord {
  const record = value as Partial<Record<keyof ReplyRecord, unknown>>;
  return isNamed(value) && typeof record.reply === "string" && Number.isSafeInteger(record.tokens);
}

export function isJudgement(value: unknown): value is JudgementRecord {
  const { check, judge, score } = value as Partial<Record<keyof JudgementRecord, unknown>>;
  const is_score = score === null || Number.isFinite(score);
  return isNamed(value) && Number.isSafeInteger(check) && typeof judge === "string" && is_score;
}

function isNamed(value: unknown): boolean {
  if (!isObject(value)) return false;
  return [value.suite, value.item, value.condition].every((name) => typeof name === "string");
}

/** What a reply is kept under. */
export function keyOf(record: { suite: string; item: string; condition: string }): string {
  return JSON.stringify([record.condition, record.suite, record.item]);
}

/** What a judgement is kept under: one of each judge. */
export function judgementKey(record: Omit<JudgementRecord, "score">): string {
  return JSON.stringify([record.condition, record.suite, record.item, record.check, record.judge]);
}
