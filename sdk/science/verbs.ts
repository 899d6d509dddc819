import type { Model } from "../types.ts";
import type { Axis } from "./axis/axis.ts";
import type { FitOptions } from "./axis/fit.ts";
import type { CollectOptions } from "./collect/collect.ts";
import type { CollectPlan } from "./collect/plan_collect.ts";
import type { Evaluation } from "./evaluate/evaluate.ts";
import type { EvaluateOptions } from "./evaluate/options.ts";
import type { Judge } from "./judge/judge.ts";
import type { JudgeOptions } from "./judge/judge_run.ts";
import type { JudgePlan } from "./judge/plan.ts";
import type { Drift, DriftOptions, DriftScript } from "./project/drift.ts";
import type { Projection, ProjectOptions, TranscriptInput } from "./project/project.ts";
import type { DemoCase } from "./recipe/demo_cases.ts";
import type { Recipe } from "./recipe/recipe.ts";
import type { Run } from "./run/run.ts";
import type { RunStore } from "./run/store.ts";

/** The verbs of the experiment. Each is read when it is first called: who generates loads none of them. */

/**
 * Collects responses in many roles and as the Assistant, each with its mean residual stream after every layer,
 * over its own tokens (paper, section 2.1), and scores them. A prompt that is too long for the context, or that the chat
 * template refuses, is noted in `Run.skipped`, and the rest goes on.
 *
 * @throws CapstanError `bad_request`, `bad_file`, `not_found`, `digest_mismatch` (the run is another model's),
 *   `judge`, `aborted` (what was complete is kept), and what `generate` throws
 * @example
 * const run = await collect(model, { out: "run/" });
 * const axis = await fit(run);
 */
export async function collect(model: Model, given: CollectOptions = {}): Promise<Run> {
  const { collect: run } = await import("./experiment.ts");
  return await run(model, given);
}

/**
 * What `collect` would do under the same options: generates nothing, asks nothing and writes nothing.
 *
 * @throws CapstanError as `collect`
 * @example
 * const { missing, there } = await planCollect(model, { out: "run/" });
 */
export async function planCollect(model: Model, given: CollectOptions = {}): Promise<CollectPlan> {
  const { planCollect: run } = await import("./experiment.ts");
  return await run(model, given);
}

/**
 * Fits the Assistant axis to a run (paper, sections 2.2 and 3.1): a role's vector is the mean activation of its
 * responses that are fully in role (score 3), the default's the mean of all of its own, and the axis, in each
 * layer, the default's less the mean of the role vectors. The run is read twice, a shard at a time.
 *
 * @throws CapstanError `bad_request` when there is too little to fit, `not_found`, `bad_file`, `aborted`
 * @example
 * const axis = await fit("run/", { min_count: 2 });
 * await axis.save("axis.safetensors");
 */
export async function fit(source: Run | string, given: FitOptions = {}): Promise<Axis> {
  const { fit: run } = await import("./experiment.ts");
  return await run(source, given);
}

/**
 * Measures what capping does: every prompt greedily uncapped, capped, and under the same cap on random directions
 * (paper, section 5), each reply held to its item's checks. Without an axis it collects and fits by the model's
 * recipe first. With `out`, replies are kept as they come, and a call that was cut off goes on where it stopped.
 *
 * @throws CapstanError `not_found`, `bad_file`, `bad_request`, `context_overflow` (before anything is generated),
 *   `digest_mismatch` (the folder is another model's), `judge`, `aborted`, and what `collect` and `fit` throw
 * @example
 * const { suites } = await evaluate(model, { suites: "test", axis, caps, out: "evaluation" });
 * suites.jailbreak?.capped?.rate;
 */
export async function evaluate(model: Model, given: EvaluateOptions = {}): Promise<Evaluation> {
  const { evaluate: run } = await import("./experiment.ts");
  return await run(model, given);
}

/**
 * Scores the responses of a run that this judge has not scored; those of the default role need no score. What was
 * scored before stays, that of other judges too: `fit` goes by one of them.
 *
 * @param source a run, its folder, or its store
 * @throws CapstanError `bad_request`, `bad_file`, `not_found`, `judge`, `network`, `access_denied`, `aborted`: what was
 *   scored is kept, and the same call goes on with the rest
 * @example
 * await judge("run/", { judge: { url: "http://127.0.0.1:8080/v1", model: "qwen3-8b" } });
 */
export async function judge(source: Run | string | RunStore, given: JudgeOptions): Promise<Run> {
  const { judge: run } = await import("./experiment.ts");
  return await run(source, given);
}

/**
 * A judge that goes by markers in the text: `{ levels, markers, refusals, roles }` as a model's `judge.json` has them.
 *
 * @param name what errors call the data
 * @throws CapstanError `bad_file` where the data is not what `docs/formats.md` says
 * @example
 * const judge = await ruleJudge(rules, "judge.json");
 * await judge.score(response);
 */
export async function ruleJudge(data: unknown, name: string): Promise<Judge> {
  const { ruleJudge: run } = await import("./experiment.ts");
  return run(data, name);
}

/**
 * What `judge` would ask, and how much of it; asks nothing and writes nothing.
 *
 * @throws CapstanError as `judge`
 * @example
 * const { requests } = await planJudging("run/", { judge: "all" });
 */
export async function planJudging(source: Run | string | RunStore, given: JudgeOptions): Promise<JudgePlan> {
  const { planJudging: run } = await import("./experiment.ts");
  return await run(source, given);
}

/**
 * Plays a scripted conversation and follows the replies along the Assistant axis, uncapped and capped (paper,
 * section 4): the same user turns and seeds, each side answering its own conversation.
 *
 * @throws CapstanError `bad_request`, `bad_file`, `context_overflow`, `aborted`
 * @example
 * const [script] = await readDriftScripts(model, await readRecipe(model));
 * const { uncapped, capped } = await drift(model, script, { axis, caps });
 * uncapped.map(({ projection }) => projection);
 */
export async function drift(model: Model, script: DriftScript, given: DriftOptions): Promise<Drift> {
  const { drift: run } = await import("./experiment.ts");
  return await run(model, script, given);
}

/**
 * The scripts of a file, or of the model's recipe; none when it names none. A list, or `{ conversations }`.
 *
 * @throws CapstanError `not_found`, `bad_file`
 * @example
 * const scripts = await readDriftScripts(model, await readRecipe(model));
 */
export async function readDriftScripts(
  model: Pick<Model, "files">,
  recipe: Recipe,
  path?: string,
): Promise<DriftScript[]> {
  const { readDriftScripts: run } = await import("./experiment.ts");
  return await run(model, recipe, path);
}

/**
 * Projects a conversation on the Assistant axis, token by token and turn by turn (paper, section 4). One that is longer
 * than the context is read in windows, which the result names: turns then stand under the past that their window has.
 *
 * @throws CapstanError `bad_file`, `bad_request`, `context_overflow`, `tokenizer`, `aborted`
 * @example
 * const { turns } = await project(model, [
 *   { role: "user", content: "Hello" },
 *   { role: "assistant", content: "Good day." },
 * ], { axis });
 * turns[1].alert;
 */
export async function project(
  model: Model,
  transcript: TranscriptInput,
  given: ProjectOptions,
): Promise<Projection> {
  const { project: run } = await import("./experiment.ts");
  return await run(model, transcript, given);
}

/**
 * The prompts that a model's recipe offers to show; none when it names none.
 *
 * @throws CapstanError `not_found`, `bad_file`
 * @example
 * for (const { messages } of await readDemoCases(model)) generate(model, messages, { hooks: caps.hooks });
 */
export async function readDemoCases(model: Pick<Model, "files">): Promise<DemoCase[]> {
  const { readDemoCases: run } = await import("./experiment.ts");
  return await run(model);
}
