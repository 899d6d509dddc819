import type { Command } from "commander";
import { CapstanError } from "../../models/index.ts";
import { env } from "../platform/index.ts";
import type { EndpointOptions, JudgeInput, JudgePlan, Run } from "../science/index.ts";
import { JUDGE_DEFAULTS } from "../science/index.ts";
import type { Io } from "./io.ts";
import { realNumber, wholeNumber } from "./options.ts";
import { count } from "./progress.ts";

/** Options of the verbs that may ask a judge. */
export interface JudgingOptions {
  judge?: string;
  judge_model?: string;
  judge_concurrency?: number;
  judge_rate?: number;
  judge_timeout?: number;
  judge_retries?: number;
  judge_temperature?: number;
  judge_max_tokens?: number;
}

/** @param otherwise for the help: what `--judge none` means, and the default */
export function addJudgingOptions(command: Command, otherwise: string): Command {
  command.option(
    "--judge <judge>",
    `who scores the responses: the URL of an OpenAI-compatible endpoint; all (each counts as fully in role, unasked); a file of rules (.json), of scores (.jsonl) or of code (.mjs); ${otherwise}`,
  );
  return addEndpointOptions(command);
}

/** How an endpoint that `--judge` names is asked. */
export function addEndpointOptions(command: Command): Command {
  const { concurrency, timeout_s, retries, temperature, max_tokens } = JUDGE_DEFAULTS;
  return command
    .option(
      "--judge_model <name>",
      "the endpoint's model, which it needs; its key is CAPSTAN_JUDGE_KEY of the environment (default: none)",
    )
    .option("--judge_concurrency <n>", `requests in flight at once (default: ${concurrency})`, wholeNumber)
    .option("--judge_rate <n>", "requests a second at the most (default: no limit)", realNumber)
    .option("--judge_timeout <s>", `seconds a request may take (default: ${timeout_s})`, realNumber)
    .option(
      "--judge_retries <n>",
      `further tries of a request that fails in passing (default: ${retries})`,
      wholeNumber,
    )
    .option("--judge_temperature <t>", `default: ${temperature}, as published`, realNumber)
    .option(
      "--judge_max_tokens <n>",
      `longest reply of the judge (default: ${max_tokens}, as published; reasoning needs more)`,
      wholeNumber,
    );
}

const OF_ENDPOINT = [
  ["judge_model", "model"],
  ["judge_concurrency", "concurrency"],
  ["judge_rate", "rate"],
  ["judge_timeout", "timeout_s"],
  ["judge_retries", "retries"],
  ["judge_temperature", "temperature"],
  ["judge_max_tokens", "max_tokens"],
] as const satisfies readonly (readonly [keyof JudgingOptions, string])[];

/**
 * The judge that the options name, as `collect` and `judge` take it: undefined where none was named, null for `none`.
 *
 * @throws CapstanError `bad_request` for an endpoint without a model, or a model without an endpoint
 */
export function judgeOf(io: Io, options: JudgingOptions): JudgeInput | null | undefined {
  const { judge } = options;
  const given = OF_ENDPOINT.filter(([name]) => options[name] !== undefined);
  if (isEndpoint(judge)) {
    if (options.judge_model === undefined) throw wrong("--judge_model NAME beside the endpoint", "none");
    const settings = Object.fromEntries(given.map(([name, own]) => [own, options[name]]));
    const on_wait = (found: string) =>
      void io.note(
        `capstan: the judge does not answer (${found}); it is asked again, and the rest goes on after that`,
      );
    return { ...settings, url: judge, model: options.judge_model, on_wait };
  }
  if (given.length > 0) {
    const found = judge === undefined ? "no --judge" : `--judge ${judge}`;
    throw wrong(`--judge URL beside ${given.map(([name]) => `--${name}`).join(", ")}`, found);
  }
  return judge === "none" ? null : judge;
}

/**
 * The endpoint that `--judge` names, for verbs that take no other judge; undefined without one.
 *
 * @throws CapstanError `bad_request` for anything else, and as `judgeOf`
 */
export function endpointOf(io: Io, options: JudgingOptions): EndpointOptions | undefined {
  const judge = judgeOf(io, options);
  if (judge === undefined) return undefined;
  if (typeof judge === "object" && judge !== null && "url" in judge) return judge;
  throw wrong("the URL of an endpoint for --judge", `--judge ${options.judge}`);
}

function isEndpoint(judge: string | undefined): judge is string {
  return judge !== undefined && /^https?:/i.test(judge);
}

function wrong(need: string, found: string): CapstanError {
  return new CapstanError("bad_request", { action: "judge responses", need, found });
}

/** Prints what a judge would be asked. */
export async function printPlan(io: Io, plan: JudgePlan & { unknown_answers?: number }): Promise<void> {
  const { calls, roles, characters, reply_tokens, example, unknown_answers = 0 } = plan;
  await io.print(
    `judge ${plan.judge}: ${count(calls)} calls, ${count(plan.scored)} responses scored already`,
  );
  if (calls === 0) return;
  const by_role = Object.entries(roles).map(([role, n]) => `${role} ${count(n)}`);
  await io.print(`  by role: ${by_role.join(", ")}`);
  const without =
    unknown_answers > 0 ? `, without ${count(unknown_answers)} responses that are yet to be made` : "";
  await io.print(
    `  prompts of ${count(characters)} characters (some ${count(characters / 4)} tokens of English)${without}; replies of at most ${count(reply_tokens)} tokens`,
  );
  const has_key = env("CAPSTAN_JUDGE_KEY") !== undefined;
  await io.print(`  key: CAPSTAN_JUDGE_KEY is ${has_key ? "set" : "not set"}`);
  if (example !== null) await io.print(`  the first, of ${example.key}:\n\n${example.prompt}\n`);
}

/** What a run holds of scores by its latest judge. */
export function scoresOf(run: Run) {
  const judge = run.judge ?? null;
  const scores: Record<number, number> = {};
  let unscored = 0;
  for (const { score } of run.scores.values()) {
    if (score === null) unscored += 1;
    else scores[score] = (scores[score] ?? 0) + 1;
  }
  return { judge, scores, unscored };
}

/** A line on the scores of a run, and one on those that the judge did not give. */
export async function printScores(io: Io, run: Run, folder: string): Promise<void> {
  const { judge, scores, unscored } = scoresOf(run);
  if (judge === null) return;
  const counts = [3, 2, 1, 0].map((score) => `${score}: ${count(scores[score] ?? 0)}`);
  await io.print(
    `scores by ${judge}: ${counts.join(", ")}${unscored > 0 ? `, none: ${count(unscored)}` : ""}`,
  );
  if (unscored > 0) {
    await io.print(
      `${count(unscored)} responses got no score from the judge: what it said is kept in ${folder}/scores.jsonl, and they count for nothing`,
    );
  }
}
