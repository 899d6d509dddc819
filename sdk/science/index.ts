/** The experiment: collect, fit, cap, project, evaluate, and the files between them. */
export type { Manifest } from "../run/manifest.ts";
export type { ResponseRecord, ScoreRecord } from "../run/records.ts";
export { Run } from "../run/run.ts";
export { folderStore, memoryStore, type RunStore } from "../run/store.ts";
export { Axis, checkFits, type MadeOn, type RolePoint, readAxis } from "./axis.ts";
export { type CapOptions, Caps, cap, randomControl, readCaps } from "./caps.ts";
export { type CollectOptions, collect } from "./collect.ts";
export { type DemoCase, readDemoCases } from "./demo_cases.ts";
export {
  type Drift,
  type DriftOptions,
  type DriftScript,
  type DriftTurn,
  drift,
  readDriftScripts,
} from "./drift.ts";
export {
  CHOICES,
  type Check,
  type JudgeCheck,
  passes,
  REFUSAL_PHRASES,
  type TextCheck,
} from "./evaluate/checks.ts";
export { type Evaluation, evaluate } from "./evaluate/evaluate.ts";
export type { EvaluateOptions } from "./evaluate/options.ts";
export type { SuiteRates, SuiteResult } from "./evaluate/rates.ts";
export type { JudgementRecord, ReplyRecord, Verdict } from "./evaluate/records.ts";
export type { ReplyJudge, ReplyQuestion } from "./evaluate/reply_judge.ts";
export type { SuiteItem, SuiteLine, SuitesInput } from "./evaluate/suites.ts";
export { type FitOptions, fit } from "./fit.ts";
export {
  type EndpointOptions,
  endpointJudge,
  JUDGE_DEFAULTS,
  type Judge,
  type JudgeFunction,
  type JudgeInput,
  type JudgeOptions,
  type JudgePlan,
  judge,
  planJudging,
  ruleJudge,
  type Score,
} from "./judge/index.ts";
export type { LayerRange } from "./layers.ts";
export { type CollectPlan, planCollect } from "./plan_collect.ts";
export type { OnProgress, Progress } from "./progress.ts";
export {
  type Projection,
  type ProjectOptions,
  project,
  type TranscriptInput,
  type TurnProjection,
} from "./project.ts";
export { type Recipe, readRecipe } from "./recipe.ts";
export type { Question, QuestionsInput, RoleDefinition, RolesInput } from "./roles.ts";
export type { RuleData } from "./rules.ts";
export { countThatFits, type LeftOut } from "./scored_roles.ts";
export { percentile, type Rate, wilson } from "./stats.ts";
export type { FileInput } from "./tensor_file.ts";
export type { Window } from "./windows.ts";
