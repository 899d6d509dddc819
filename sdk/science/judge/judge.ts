import { CapstanError, show } from "../../../models/index.ts";
import { unlessStuck } from "../../platform/index.ts";
import type { Model } from "../../types.ts";
import { type Recipe, readJson } from "../recipe/recipe.ts";
import type { ResponseRecord } from "../run/records.ts";
import { EndpointJudge } from "./endpoint.ts";
import type { EndpointOptions } from "./endpoint_options.ts";
import { judgeOfFile } from "./files.ts";
import { allJudge, functionJudge, ruleJudge } from "./kinds.ts";
import type { RuleData } from "./rules.ts";

/** How far a response is in its role (paper, section 2.1): 0 refused, 1 cannot, 2 in part, 3 fully. */
export interface Score {
  /** Null where the judge gave none: the response is kept, counted and left out of `fit`. */
  score: number | null;
  /** What the judge measured on the way, where it does. */
  level?: number;
  /** What it wrote. */
  reply?: string;
  /** Why there is no score, where it is not the reply that has none. */
  error?: string;
  /**
   * It refused to judge this response, which may be the response's fault or its own: thrown where it refuses the first
   * ones that it is asked about.
   */
  refusal?: Error;
}

/** Scores responses. An endpoint, rules and a function are all of this form. */
export interface Judge {
  /** Goes with each score; a run does not mix the scores of two judges. */
  readonly id: string;
  /** Responses judged at once, from 1. Default: 1. */
  readonly concurrency?: number;
  /** Throws for roles that it could not judge, naming them, before anything is generated. */
  checkRoles?(roles: readonly string[]): void;
  /** Throws where it can score none of the responses of these keys, before anything is generated. */
  checkKeys?(keys: Iterable<string>): void;
  /** Whether it can be asked at all: called before anything is generated. */
  check?(signal?: AbortSignal): Promise<void>;
  /** Which prompt a role is judged by: scores under another one are asked for again. */
  promptOf?(role: string): string;
  /** Longest reply in tokens, of a judge that asks a model. */
  readonly max_tokens?: number;
  /** The text that it asks about a response, where it asks one. */
  request?(response: Pick<ResponseRecord, "role" | "question" | "messages" | "text">): string;
  score(response: ResponseRecord, signal?: AbortSignal): Score | Promise<Score>;
}

/** A judge as a function of a response: its score, null where it can give none. */
export type JudgeFunction = (
  response: ResponseRecord,
  signal?: AbortSignal,
) => number | null | Score | Promise<number | null | Score>;

/**
 * A judge; a function; an endpoint `{ url, model, ... }`; the data of a rule judge; `"all"` (every response counts as 3,
 * and nobody is asked); or a file: `.json` of rules, `.jsonl` of scores `{ key, score }`, or a module whose `judge` (or
 * default export) is a function or a judge.
 */
export type JudgeInput = Judge | JudgeFunction | EndpointOptions | RuleData | string;

/** What a judge may need of the run beside a response. */
export interface JudgeContext {
  /** The `eval_prompt` of each role that has one. */
  prompts: Readonly<Record<string, string>>;
  /** Texts of the questions by their ids. */
  questions: ReadonlyMap<string, string>;
}

/** @throws CapstanError `bad_file`, `not_found`, `bad_request`, `access_denied` */
export async function readJudge(input: JudgeInput, context: JudgeContext): Promise<Judge> {
  if (typeof input === "function") return functionJudge(input);
  if (input === "all") return allJudge();
  if (typeof input === "string") return await judgeOfFile(input);
  if ("score" in input) return input;
  return "url" in input ? new EndpointJudge(input, context) : ruleJudge(input, "the judge");
}

/** The judge that the model's recipe names; null where it names none. */
export async function recipeJudge(model: Pick<Model, "files">, recipe: Recipe): Promise<Judge | null> {
  if (model.files === null || recipe.judge === undefined) return null;
  return ruleJudge(await readJson(model.files, recipe.judge), recipe.judge);
}

const SCORES: readonly unknown[] = [null, 0, 1, 2, 3];

/** Asks a judge and checks what it says. Throws `judge`. */
export async function scoreOf(judge: Judge, response: ResponseRecord, signal?: AbortSignal): Promise<Score> {
  const found = await answerOf(judge, response, signal);
  const score: unknown = found?.score;
  if (found !== undefined && SCORES.includes(score)) return found;
  throw new CapstanError("judge", {
    action: `judge response ${response.key}`,
    need: "a score of 0, 1, 2 or 3, or null for none",
    found: show(score ?? found),
  });
}

/** What a judge throws is an error of ours, with the response that it was asked about. */
async function answerOf(
  judge: Judge,
  response: ResponseRecord,
  signal: AbortSignal | undefined,
): Promise<Score | undefined> {
  const action = `judge response ${response.key} by ${judge.id}`;
  try {
    return await unlessStuck(judge.score(response, signal), () => noAnswer(action), signal);
  } catch (cause) {
    if (cause instanceof CapstanError || signal?.aborted) throw cause;
    const parts = {
      action,
      need: "a score",
      found: `an error, ${show(String((cause as Error)?.message ?? cause))}`,
    };
    throw new CapstanError("judge", parts, { cause });
  }
}

/** A judge whose promise nothing can settle any more. */
export function noAnswer(action: string): CapstanError {
  const found = "a judge that never answers, and nothing left to wait for";
  const fix = "What it returns must settle; null is a score, too.";
  return new CapstanError("judge", { action, need: "a score", found, fix });
}
