import { CapstanError } from "../../../models/index.ts";
import { readOptions } from "../../common/options.ts";
import { checkModel } from "../../inference/check_model.ts";
import type { Model } from "../../types.ts";
import { type Asked, type JudgePlan, planOf } from "../judge/index.ts";
import { DEFAULT_ROLE } from "../recipe/default_role.ts";
import { Run } from "../run/run.ts";
import { COLLECT_OPTIONS, type CollectOptions, isMissing, prepare } from "./collect.ts";

/** What `collect` would make, and what its judge would be asked. */
export interface CollectPlan {
  /** Responses that are to be made, and those that are there. */
  missing: number;
  there: number;
  /** Null where nothing will score them. Of `unknown_answers`, which are yet to be made, the text is not counted. */
  judge: (JudgePlan & { unknown_answers: number }) | null;
}

/** `planCollect` of `verbs.ts`. */
export async function planCollect(model: Model, given: CollectOptions = {}): Promise<CollectPlan> {
  checkModel(model, "collect");
  const options = readOptions("collect", given, COLLECT_OPTIONS);
  const { manifest, plan, judge } = await prepare(model, options);
  const run = await openOrNone(options.out);
  const counts = { missing: 0, there: 0 };
  for (const planned of plan) counts[isMissing(run, planned) ? "missing" : "there"] += 1;
  if (judge === null) return { ...counts, judge };
  const scores = run?.scoresOf(judge.id);
  const waiting: string[] = [];
  let [total, unknown_answers] = [0, 0];
  for (const { key, role } of plan) {
    if (role === DEFAULT_ROLE) continue;
    total += 1;
    if (!run?.responses.has(key)) unknown_answers += 1;
    else if (!scores?.has(key)) waiting.push(key);
  }
  const unknown = `(a response of up to ${manifest.sampling.max_tokens} tokens)`;
  async function* asked(): AsyncGenerator<Asked> {
    if (run !== undefined) yield* run.read(waiting);
    for (const planned of plan) {
      if (planned.role !== DEFAULT_ROLE && !run?.responses.has(planned.key))
        yield { ...planned, text: "", unknown };
    }
  }
  return { ...counts, judge: { ...(await planOf(judge, asked(), total)), unknown_answers } };
}

/** A run that may not have been begun yet. */
async function openOrNone(out: CollectOptions["out"]): Promise<Run | undefined> {
  if (out === undefined) return undefined;
  try {
    return await Run.open(out);
  } catch (error) {
    if (error instanceof CapstanError && error.code === "not_found") return undefined;
    throw error;
  }
}
