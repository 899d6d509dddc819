/** What only an experiment needs, in one piece: read when one of `verbs.ts` is first called. */
export { fit } from "./axis/fit.ts";
export { collect } from "./collect/collect.ts";
export { planCollect } from "./collect/plan_collect.ts";
export { evaluate } from "./evaluate/evaluate.ts";
export { judge, planJudging } from "./judge/judge_run.ts";
export { ruleJudge } from "./judge/kinds.ts";
export { drift, readDriftScripts } from "./project/drift.ts";
export { project, readTranscript } from "./project/project.ts";
export { readingLayer } from "./project/reading.ts";
export { readDemoCases } from "./recipe/demo_cases.ts";
