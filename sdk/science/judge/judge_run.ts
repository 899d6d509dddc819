import { CapstanError, isObject } from "../../../models/index.ts";
import * as rules from "../../common/options.ts";
import { type Rules, readOptions } from "../../common/options.ts";
import { checkRun } from "../inputs.ts";
import type { OnProgress } from "../progress.ts";
import { type RoleDefinition, readRoles } from "../recipe/roles.ts";
import type { Manifest } from "../run/manifest.ts";
import { Run } from "../run/run.ts";
import type { RunStore } from "../run/store.ts";
import { type JudgeContext, type JudgeInput, readJudge } from "./judge.ts";
import { type JudgePlan, planOf } from "./plan.ts";
import { scoreRun, toJudge } from "./score_run.ts";

/** By whom a run is scored. */
export interface JudgeOptions {
  /** Who scores the responses. */
  judge: JudgeInput;
  /**
   * A folder of `<role>.json`, or definitions by name, whose `eval_prompt` an endpoint is asked. Default: those that the
   * run was collected with.
   */
  roles?: string | Readonly<Record<string, RoleDefinition>>;
  /** Ends the call with `aborted`; what was scored is kept. Default: none. */
  signal?: AbortSignal;
  /** Called at the start and after each response. Default: none. */
  on_progress?: OnProgress;
}

const OPTIONS: Rules<JudgeOptions> = {
  judge: rules.anyOf(rules.text, rules.callback, rules.having("a judge, an endpoint or rules")),
  roles: rules.anyOf(rules.text, rules.record),
  signal: rules.signal,
  on_progress: rules.callback,
};

/** `judge` of `verbs.ts`. */
export async function judge(source: Run | string | RunStore, given: JudgeOptions): Promise<Run> {
  const options = readOptions("judge responses", given, OPTIONS);
  const run = await openRun(source, true);
  // A run that was opened here is let go at the end; of one that was given, the lock is given back as it was.
  await using _held = isStore(source) ? run : await run.lock();
  const input = judgeOf(options);
  await scoreRun(run, await readJudge(input, await contextOf(run.manifest, options.roles)), options);
  return run;
}

/** `planJudging` of `verbs.ts`. */
export async function planJudging(source: Run | string | RunStore, given: JudgeOptions): Promise<JudgePlan> {
  const options = readOptions("judge responses", given, OPTIONS);
  const run = await openRun(source, false);
  const judge = await readJudge(judgeOf(options), await contextOf(run.manifest, options.roles));
  const { keys, missing, roles } = toJudge(run, judge);
  judge.checkRoles?.(roles);
  if (missing.length > 0) judge.checkKeys?.(keys);
  return await planOf(judge, run.read(missing), keys.length);
}

function isStore(source: Run | string | RunStore): source is string | RunStore {
  return typeof source === "string" || (isObject(source) && "append" in source);
}

async function openRun(source: Run | string | RunStore, write: boolean): Promise<Run> {
  return isStore(source) ? await Run.open(source, { write }) : checkRun(source);
}

function judgeOf({ judge }: JudgeOptions): JudgeInput {
  if (judge !== undefined) return judge;
  throw new CapstanError("bad_request", {
    action: "judge responses",
    need: 'a judge: { url, model }, "all", a function, rules or a file',
    found: "none",
  });
}

/** What the run knows of its roles' judge prompts and its questions; prompts given now go first. */
async function contextOf(manifest: Manifest, roles: JudgeOptions["roles"]): Promise<JudgeContext> {
  const given = roles === undefined ? new Map() : await readRoles(roles, { files: null }, {});
  return judgeContext({ ...manifest.judge_prompts, ...judgePrompts(given) }, manifest.questions);
}

export function judgeContext(
  prompts: Readonly<Record<string, string>>,
  questions: Manifest["questions"],
): JudgeContext {
  return { prompts, questions: new Map(questions.map(({ id, question }) => [String(id), question])) };
}

/** The `eval_prompt` of each role that has one. */
export function judgePrompts(roles: ReadonlyMap<string, RoleDefinition>): Record<string, string> {
  const entries = [...roles].flatMap(([name, { eval_prompt }]) =>
    typeof eval_prompt === "string" && eval_prompt !== "" ? [[name, eval_prompt] as const] : [],
  );
  return Object.fromEntries(entries);
}
