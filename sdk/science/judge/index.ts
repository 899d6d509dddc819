export { endpointJudge } from "./endpoint_judge.ts";
export type { EndpointOptions } from "./endpoint_options.ts";
export { JUDGE_DEFAULTS } from "./endpoint_options.ts";
export {
  type Judge,
  type JudgeFunction,
  type JudgeInput,
  readJudge,
  recipeJudge,
  type Score,
} from "./judge.ts";
export { type JudgeOptions, judge, judgeContext, judgePrompts, planJudging } from "./judge_run.ts";
export { ruleJudge } from "./kinds.ts";
export { type Asked, type JudgePlan, planOf } from "./plan.ts";
export { scoreRun } from "./score_run.ts";
