/** The experiment: collect, fit, cap, project, evaluate, and the files between them. */

export { Axis, checkDtype, checkFits, type MadeOn, type RolePoint, readAxis } from "./axis/axis.ts";
export type { FitOptions } from "./axis/fit.ts";
export { countThatFits, type LeftOut } from "./axis/scored_roles.ts";
export { type CapOptions, Caps, cap, randomControl, readCaps } from "./caps/caps.ts";
export type { CollectOptions } from "./collect/collect.ts";
export type { CollectPlan } from "./collect/plan_collect.ts";
export {
  CHOICES,
  type Check,
  type JudgeCheck,
  passes,
  REFUSAL_PHRASES,
  type TextCheck,
} from "./evaluate/checks.ts";
export type { Evaluation } from "./evaluate/evaluate.ts";
export type { EvaluateOptions } from "./evaluate/options.ts";
export type { SuiteRates, SuiteResult } from "./evaluate/rates.ts";
export type { JudgementRecord, ReplyRecord, Verdict } from "./evaluate/records.ts";
export type { ReplyJudge, ReplyQuestion } from "./evaluate/reply_judge.ts";
export type { SuiteItem, SuiteLine, SuitesInput } from "./evaluate/suites.ts";
export { endpointJudge } from "./judge/endpoint_judge.ts";
export { type EndpointOptions, JUDGE_DEFAULTS } from "./judge/endpoint_options.ts";
export type { Judge, JudgeFunction, JudgeInput, Score } from "./judge/judge.ts";
export type { JudgeOptions } from "./judge/judge_run.ts";

export type { JudgePlan } from "./judge/plan.ts";
export type { RuleData } from "./judge/rules.ts";
export type { LayerRange } from "./layers.ts";
export { percentile, type Rate, wilson } from "./numbers/stats.ts";
export type { OnProgress, Progress } from "./progress.ts";
export type { Drift, DriftOptions, DriftScript, DriftTurn } from "./project/drift.ts";
export type { Projection, ProjectOptions, TranscriptInput } from "./project/project.ts";
export type { TurnProjection } from "./project/turns.ts";
export type { Window } from "./project/windows.ts";
export type { DemoCase } from "./recipe/demo_cases.ts";
export { type Recipe, readRecipe } from "./recipe/recipe.ts";
export type { Question, QuestionsInput, RoleDefinition, RolesInput } from "./recipe/roles.ts";
export type { Manifest } from "./run/manifest.ts";
export type { ResponseRecord, ScoreRecord } from "./run/records.ts";
export { Run } from "./run/run.ts";
export { folderStore, memoryStore, type RunStore } from "./run/store.ts";
export type { FileInput } from "./tensor_file.ts";
export {
  collect,
  drift,
  evaluate,
  fit,
  judge,
  planCollect,
  planJudging,
  project,
  readDemoCases,
  readDriftScripts,
  ruleJudge,
} from "./verbs.ts";
