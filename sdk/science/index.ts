/** The experiment: collect, fit, cap, project, evaluate, and the files between them. */

export { Axis, checkFits, type MadeOn, type RolePoint, readAxis } from "./axis/axis.ts";
export { type FitOptions, fit } from "./axis/fit.ts";
export { countThatFits, type LeftOut } from "./axis/scored_roles.ts";
export { type CapOptions, Caps, cap, randomControl, readCaps } from "./caps/caps.ts";
export { type CollectOptions, collect } from "./collect/collect.ts";
export { type CollectPlan, planCollect } from "./collect/plan_collect.ts";
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
export type { RuleData } from "./judge/rules.ts";
export type { LayerRange } from "./layers.ts";
export { percentile, type Rate, wilson } from "./numbers/stats.ts";
export type { OnProgress, Progress } from "./progress.ts";
export {
  type Drift,
  type DriftOptions,
  type DriftScript,
  type DriftTurn,
  drift,
  readDriftScripts,
} from "./project/drift.ts";
export {
  type Projection,
  type ProjectOptions,
  project,
  type TranscriptInput,
  type TurnProjection,
} from "./project/project.ts";
export type { Window } from "./project/windows.ts";
export { type DemoCase, readDemoCases } from "./recipe/demo_cases.ts";
export { type Recipe, readRecipe } from "./recipe/recipe.ts";
export type { Question, QuestionsInput, RoleDefinition, RolesInput } from "./recipe/roles.ts";
export type { Manifest } from "./run/manifest.ts";
export type { ResponseRecord, ScoreRecord } from "./run/records.ts";
export { Run } from "./run/run.ts";
export { folderStore, memoryStore, type RunStore } from "./run/store.ts";
export type { FileInput } from "./tensor_file.ts";
