import { CapstanError, show } from "../../../models/index.ts";
import { unlessStuck } from "../../platform/index.ts";
import { contentText } from "../../text/index.ts";
import { noAnswer } from "../judge/judge.ts";
import type { JudgeCheck } from "./checks.ts";
import type { SuiteItem } from "./suites.ts";

/** What a judge of replies is asked. */
export interface ReplyQuestion {
  item: SuiteItem;
  reply: string;
  /** The check's prompt with the question and the reply filled in. */
  prompt: string;
}

/** Scores replies for checks of kind `judge`. */
export interface ReplyJudge {
  /** Goes with each score: those of another judge do not count. */
  readonly id: string;
  /** Replies judged at once. Default: 1. */
  readonly concurrency?: number;
  /** A number; null where its answer has none. */
  score(question: ReplyQuestion, signal?: AbortSignal): number | null | Promise<number | null>;
}

/** Asks a judge and checks what it says. Throws `judge`. */
export async function askJudge(
  judge: ReplyJudge,
  check: JudgeCheck,
  item: SuiteItem,
  reply: string,
  signal: AbortSignal,
): Promise<number | null> {
  const prompt = filled(check.prompt, lastQuestion(item), reply);
  const action = `judge the reply to ${item.suite} ${item.id}`;
  const answer = judge.score({ item, reply, prompt }, signal);
  const score = await unlessStuck(answer, () => noAnswer(action), signal);
  if (score === null || (typeof score === "number" && Number.isFinite(score))) return score;
  throw new CapstanError("judge", { action, need: "a number, or null for none", found: show(score) });
}

function lastQuestion(item: SuiteItem): string {
  const asked = item.messages.findLast(({ role }) => role === "user") ?? item.messages.at(-1);
  return asked === undefined ? "" : contentText(asked);
}

/** In one pass: a reply that holds `{question}` is left as it is. */
function filled(prompt: string, question: string, answer: string): string {
  return prompt.replace(/\{(question|answer)\}/g, (_, name) => (name === "answer" ? answer : question));
}
