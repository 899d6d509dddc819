import { CapstanError, show } from "../../models/index.ts";
import { readText } from "../platform/index.ts";
import { crc32 } from "../run/checksum.ts";
import type { ResponseRecord } from "../run/records.ts";
import type { Model } from "../types.ts";
import { parseJson, type Recipe, readJson } from "./recipe.ts";
import { bandOf, checkRules, type RuleData, ruleScore } from "./rules.ts";

/** How far a response is in its role (paper, section 2.1): 0 refused, 1 cannot, 2 in part, 3 fully. */
export interface Score {
  score: number;
  /** What the judge measured on the way, where it does. */
  level?: number;
}

/** Scores responses. An endpoint, rules and a function are all of this form. */
export interface Judge {
  /** Goes with each score; a run does not mix the scores of two judges. */
  readonly id: string;
  /** Responses judged at once. Default: 1. */
  readonly concurrency?: number;
  /** Throws for a role that it could not judge, before anything is generated. */
  checkRole?(role: string): void;
  score(response: ResponseRecord, signal?: AbortSignal): Score | Promise<Score>;
}

export type JudgeFunction = (
  response: ResponseRecord,
  signal?: AbortSignal,
) => number | Score | Promise<number | Score>;
/** A judge, a function, the data of a rule judge, or a file of it. */
export type JudgeInput = Judge | JudgeFunction | RuleData | string;

/**
 * The judge of a collection; without one given, the recipe's; null when that names none.
 *
 * @throws CapstanError `bad_file`, `not_found`
 */
export async function readJudge(
  input: JudgeInput | undefined,
  model: Pick<Model, "files">,
  recipe: Recipe,
): Promise<Judge | null> {
  if (typeof input === "function") return functionJudge(input);
  if (typeof input === "string") return ruleJudge(parseJson(await readText(input), input), input);
  if (input !== undefined) return "score" in input ? input : ruleJudge(input, "the judge");
  if (model.files === null || recipe.judge === undefined) return null;
  return ruleJudge(await readJson(model.files, recipe.judge), recipe.judge);
}

/** A judge that goes by markers in the text. */
export function ruleJudge(data: unknown, name: string): Judge {
  const rules = checkRules(data, name);
  return {
    id: `markers-${crc32(JSON.stringify(rules))}`,
    checkRole: (role) => void bandOf(rules, role),
    score: (response) => ruleScore(rules, response),
  };
}

function functionJudge(judge: JudgeFunction): Judge {
  return {
    id: "function",
    async score(response, signal) {
      const value = await judge(response, signal);
      return typeof value === "number" ? { score: value } : value;
    },
  };
}

/** Asks a judge and checks what it says. Throws `judge`. */
export async function scoreOf(judge: Judge, response: ResponseRecord, signal?: AbortSignal): Promise<Score> {
  const found = await judge.score(response, signal);
  if ([0, 1, 2, 3].includes(found?.score)) return found;
  const action = `judge response ${response.key}`;
  throw new CapstanError("judge", {
    action,
    need: "a score of 0, 1, 2 or 3",
    found: show(found?.score ?? found),
  });
}
