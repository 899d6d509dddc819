import { CapstanError, show } from "../../models/index.ts";
import { generate } from "../generate.ts";
import * as rules from "../options.ts";
import { type Rules, readOptions } from "../options.ts";
import { eachOf, IN_FLIGHT } from "../pool.ts";
import type { Manifest } from "../run/manifest.ts";
import { type NewResponse, Run } from "../run/run.ts";
import type { RunStore } from "../run/store.ts";
import type { Model, TemplateArgs } from "../types.ts";
import { checkModel } from "./inputs.ts";
import { type Judge, type JudgeInput, readJudge, scoreOf } from "./judge.ts";
import { residPost } from "./layers.ts";
import { type PlannedResponse, planResponses } from "./plan.ts";
import { type OnProgress, ProgressMeter } from "./progress.ts";
import { type Recipe, readRecipe } from "./recipe.ts";
import {
  DEFAULT_ROLE,
  type Question,
  type QuestionsInput,
  type RoleDefinition,
  type RolesInput,
  readQuestions,
  readRoles,
} from "./roles.ts";
import { textActivation } from "./text_activation.ts";

export interface CollectOptions {
  /** A folder of `<role>.json`, definitions by name, or names in the model's recipe. Default: the recipe's. */
  roles?: RolesInput;
  /** A file of JSON lines `{ id, question }`, or a list. Default: the recipe's. */
  questions?: QuestionsInput;
  /** Folder of the run; one that was begun with the same settings is continued. Default: in memory. */
  out?: string | RunStore;
  /** Default: the recipe's, else as published: 0.7, 0.9, 512. */
  temperature?: number;
  top_p?: number;
  max_tokens?: number;
  /** Replies to each prompt. Default: 1. */
  samples?: number;
  /** Default: the recipe's, else 0. */
  seed?: number;
  /** Questions that each system prompt of a role is asked. Default: the recipe's, else all. */
  questions_per_instruction?: number;
  /** At most this many responses a role. */
  limit?: number;
  /** Who scores the responses. Default: the recipe's rules. `null` leaves them unscored. */
  judge?: JudgeInput | null;
  /**
   * `generate` makes the responses and their activations in one pass. `text` takes the run's responses as they
   * are and adds the activations they lack, in a second pass. Default: `generate`.
   */
  mode?: "generate" | "text";
  /** Further arguments of the chat template, such as `enable_thinking: false`. */
  template_args?: TemplateArgs;
  /** Responses in flight at once. Default: 64. */
  concurrency?: number;
  signal?: AbortSignal;
  on_progress?: OnProgress;
}

const OPTIONS: Rules<CollectOptions> = {
  roles: rules.checkedLater,
  questions: rules.checkedLater,
  out: rules.anyOf(rules.text, rules.having("a store", "append")),
  temperature: rules.number(0, 10),
  top_p: rules.number(0, 1),
  max_tokens: rules.whole(1),
  samples: rules.whole(1),
  seed: rules.whole(0),
  questions_per_instruction: rules.whole(1),
  limit: rules.whole(1),
  judge: rules.orNull(rules.anyOf(rules.text, rules.callback, rules.having("a judge or its rules"))),
  mode: rules.oneOf("generate", "text"),
  template_args: rules.record,
  concurrency: rules.whole(1),
  signal: rules.signal,
  on_progress: rules.callback,
};

/** Responses in a shard of activations: what a kill can cost. */
const FLUSH = 64;

/**
 * Collects responses in many roles and as the Assistant, each with its mean residual stream after every layer,
 * over its own tokens (paper, section 2.1), and scores them.
 *
 * @throws CapstanError `bad_request`, `bad_file`, `not_found`, `digest_mismatch` (the run is another model's),
 *   `judge`, `aborted` (what was complete is kept), and what `generate` throws
 * @example
 * const run = await collect(model, { out: "run/" });
 * const axis = await fit(run);
 */
export async function collect(model: Model, given: CollectOptions = {}): Promise<Run> {
  checkModel(model, "collect");
  const options = readOptions("collect", given, OPTIONS);
  const recipe = await readRecipe(model);
  const roles = await readRoles(options.roles, model, recipe);
  const questions = await readQuestions(options.questions, model, recipe);
  const judge = options.judge === null ? null : await readJudge(options.judge, model, recipe);
  for (const role of roles.keys()) if (role !== DEFAULT_ROLE) judge?.checkRole?.(role);
  const manifest = manifestOf(model, roles, questions, recipe, options);
  const { seed, sampling } = manifest;
  const per = options.questions_per_instruction ?? recipe.collect?.questions_per_instruction;
  const plan = planResponses(model, roles, questions, {
    seed,
    samples: sampling.samples,
    ...(per === undefined ? {} : { questions_per_instruction: checkCount("questions_per_instruction", per) }),
    ...(options.limit === undefined ? {} : { limit: checkCount("limit", options.limit) }),
  });
  const text = options.mode === "text";
  const run = await Run.start(options.out, manifest, { adopt: text });
  if (text) await addActivations(model, run, options);
  else await makeResponses(model, run, plan, options);
  if (judge !== null) await judgeResponses(run, judge, options);
  return run;
}

function manifestOf(
  model: Model,
  roles: ReadonlyMap<string, RoleDefinition>,
  questions: Question[],
  recipe: Recipe,
  options: CollectOptions,
): Manifest {
  const defaults = recipe.collect ?? {};
  const { min_count } = defaults;
  const { target_layer, cap } = recipe;
  return {
    format: "capstan.run",
    format_version: 1,
    model: { id: model.id, digest: model.digest },
    dtype: model.device.dtype,
    site: "hook_resid_post",
    n_layers: model.spec.n_layers,
    d_model: model.spec.d_model,
    sampling: {
      temperature: checkNumber("temperature", options.temperature ?? defaults.temperature ?? 0.7, 0, 10),
      top_p: checkNumber("top_p", options.top_p ?? defaults.top_p ?? 0.9, 0, 1),
      max_tokens: checkCount("max_tokens", options.max_tokens ?? defaults.max_tokens ?? 512),
      samples: checkCount("samples", options.samples ?? defaults.samples ?? 1),
    },
    template_args: options.template_args ?? {},
    seed: checkNumber("seed", options.seed ?? defaults.seed ?? 0, 0, Number.MAX_SAFE_INTEGER),
    roles: Object.fromEntries(
      [...roles].map(([name, { group, instruction }]) => {
        return [
          name,
          { ...(group === undefined ? {} : { group }), prompts: instruction.map(({ pos }) => pos) },
        ];
      }),
    ),
    questions,
    recipe: {
      ...(min_count === undefined ? {} : { min_count }),
      ...(target_layer === undefined ? {} : { target_layer }),
      ...(cap === undefined ? {} : { cap }),
    },
  };
}

/** Generates what the run lacks, in flight together, and flushes as it goes. */
async function makeResponses(
  model: Model,
  run: Run,
  plan: readonly PlannedResponse[],
  options: CollectOptions,
): Promise<void> {
  const missing = plan.filter(({ key }) => run.responses.get(key)?.activation === undefined);
  const { template_args } = run.manifest;
  const { max_tokens, temperature, top_p } = run.manifest.sampling;
  const sites = Array.from({ length: run.manifest.n_layers }, (_, layer) => residPost(layer));
  await keepAll(run, missing, plan.length, options, async (planned, signal) => {
    const { seed, messages } = planned;
    // Everything that shapes a draw is said, so that the model's own defaults do not.
    const sampling = { temperature, top_p, top_k: 0, min_p: 0, repetition_penalty: 1 };
    const mean = ["blocks.*.hook_resid_post"];
    const request = { ...sampling, max_tokens, seed, mean, template_args, signal };
    const reply = await generate(model, messages, request).result;
    const tokens = reply.tokens.length;
    const finish_reason = reply.finish_reason === "stop" ? ("stop" as const) : ("length" as const);
    const response = { ...planned, text: reply.text, tokens, finish_reason };
    return { response, activation: joined(sites.map((site) => reply.means[site]!)) };
  });
}

/** Second pass: activations for the responses that came without, by their texts. */
async function addActivations(model: Model, run: Run, options: CollectOptions): Promise<void> {
  const responses = [...run.responses.values()];
  const missing = responses.filter(({ activation }) => activation === undefined);
  await keepAll(run, missing, responses.length, options, async (response, signal) => {
    const { template_args } = run.manifest;
    const { activation, tokens } = await textActivation(model, response, template_args, signal);
    return { response: { ...response, tokens }, activation };
  });
}

/** Makes items some at a time and keeps them in the run, a flush at a time, also when it ends early. */
async function keepAll<T extends { role: string }>(
  run: Run,
  items: readonly T[],
  total: number,
  options: CollectOptions,
  make: (item: T, signal: AbortSignal) => Promise<NewResponse>,
): Promise<void> {
  const meter = new ProgressMeter("collect", total, total - items.length, options.on_progress);
  let pending: NewResponse[] = [];
  let writing = Promise.resolve();
  const flush = () => {
    const batch = pending;
    pending = [];
    writing = writing.then(() => run.add(batch));
    return writing;
  };
  const concurrency = checkCount("concurrency", options.concurrency ?? IN_FLIGHT);
  const work = async (item: T, signal: AbortSignal) => {
    const made = await make(item, signal);
    pending.push(made);
    meter.item(made.response.tokens, item.role);
    if (pending.length >= FLUSH) await flush();
  };
  try {
    await eachOf(items, work, { concurrency, action: "collect", signal: options.signal });
  } finally {
    await flush();
  }
}

/** Scores every response that this judge has not scored; the default role needs none. */
async function judgeResponses(run: Run, judge: Judge, options: CollectOptions): Promise<void> {
  const roles = [...run.responses.values()].filter(({ role }) => role !== DEFAULT_ROLE);
  const unscored = roles.filter(({ key }) => run.scores.get(key)?.judge !== judge.id);
  if (unscored.length === 0) return;
  const meter = new ProgressMeter("judge", roles.length, roles.length - unscored.length, options.on_progress);
  for (let start = 0; start < unscored.length; start += FLUSH) {
    const scores: { key: string; judge: string; score: number; level?: number }[] = [];
    const work = async (response: (typeof unscored)[number], signal: AbortSignal) => {
      const { score, level } = await scoreOf(judge, response, signal);
      scores.push({ key: response.key, judge: judge.id, score, ...(level === undefined ? {} : { level }) });
      meter.item(0, response.role);
    };
    const pool = { concurrency: judge.concurrency ?? 1, action: "judge responses", signal: options.signal };
    try {
      await eachOf(unscored.slice(start, start + FLUSH), work, pool);
    } finally {
      await run.addScores(scores);
    }
  }
}

function joined(vectors: readonly Float32Array[]): Float32Array {
  const size = vectors[0]?.length ?? 0;
  const all = new Float32Array(size * vectors.length);
  for (const [i, vector] of vectors.entries()) all.set(vector, i * size);
  return all;
}

function checkCount(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value;
  const parts = { action: "collect", need: `${name}, a whole number above 0`, found: show(value) };
  throw new CapstanError("bad_request", parts);
}

function checkNumber(name: string, value: number, low: number, high: number): number {
  if (typeof value === "number" && value >= low && value <= high) return value;
  const parts = { action: "collect", need: `${name} of ${low} to ${high}`, found: show(value) };
  throw new CapstanError("bad_request", parts);
}
