import { CapstanError, show } from "../../../models/index.ts";
import * as rules from "../../common/options.ts";
import { type Rules, readOptions } from "../../common/options.ts";
import { checkModel } from "../../inference/check_model.ts";
import { generate } from "../../inference/generate.ts";
import type { Model, TemplateArgs } from "../../types.ts";
import {
  type Judge,
  type JudgeInput,
  judgeContext,
  judgePrompts,
  readJudge,
  recipeJudge,
  scoreRun,
} from "../judge/index.ts";
import { checkLayer, type LayerRange, layersOf, residPost } from "../layers.ts";
import { type OnProgress, ProgressMeter } from "../progress.ts";
import { DEFAULT_ROLE } from "../recipe/default_role.ts";
import { familyName, quietArgs } from "../recipe/model_name.ts";
import { type Recipe, readRecipe } from "../recipe/recipe.ts";
import {
  type BadRole,
  type Question,
  type QuestionsInput,
  type RoleDefinition,
  type RolesInput,
  readQuestions,
  readRoles,
} from "../recipe/roles.ts";
import { type Subset, subset } from "../recipe/subset.ts";
import { crc32 } from "../run/checksum.ts";
import { keptLayers, type Manifest } from "../run/manifest.ts";
import type { ResponseRecord, SkippedRecord } from "../run/records.ts";
import { Run } from "../run/run.ts";
import type { RunStore } from "../run/store.ts";
import { keepAll, type Made } from "./keep.ts";
import { type PlannedResponse, planResponses } from "./plan.ts";
import { textActivation } from "./text_activation.ts";

/** What is collected, how it is sampled, and where it is kept. */
export interface CollectOptions {
  /** A folder of `<role>.json`, definitions by name, or names in the model's recipe. Default: the recipe's. */
  roles?: RolesInput;
  /** Of these roles, those to collect: names, and ranges of the others' alphabetical list. Default: all. */
  only_roles?: Subset;
  /** Leaves out roles whose file is bad, and notes them in `Run.skipped`. Default: false, the first is an error. */
  skip_bad_roles?: boolean;
  /** A file of JSON lines `{ id, question }`, or a list. Default: the recipe's. */
  questions?: QuestionsInput;
  /** Of these questions, those to ask: ids, and ranges of places from 0. Default: all. */
  only_questions?: Subset;
  /** Folder of the run; one that was begun with the same settings is continued. Default: in memory. */
  out?: string | RunStore;
  /** From 0 (greedy) to 10. Default: the recipe's, else 0.7 as published. */
  temperature?: number;
  /** From 0 to 1 (all tokens). Default: the recipe's, else 0.9 as published. */
  top_p?: number;
  /** Most tokens of a reply, from 1. Default: the recipe's, else 512 as published. */
  max_tokens?: number;
  /** Replies to each prompt, from 1. Default: 1. */
  samples?: number;
  /** A whole number from 0. Default: the recipe's, else 0. */
  seed?: number;
  /** Questions that each system prompt of a role is asked, from 1. Default: the recipe's, else all. */
  questions_per_instruction?: number;
  /** Questions that each role is asked, from 1, spread over the list from a start of its own. Default: all. */
  questions_per_role?: number;
  /** Most responses a role, from 1. Default: all. */
  limit?: number;
  /**
   * Who scores the responses. Default: the recipe's rules. `null` leaves them unscored, for `judge` to score later: `fit`
   * goes by scores.
   */
  judge?: JudgeInput | null;
  /** Called before anything is generated with what will be missing in the end. Default: `console.warn`. */
  on_warning?: (text: string) => void;
  /**
   * `generate` makes the responses and their activations in one pass. `text` takes the run's responses as they
   * are and adds the activations they lack, in a second pass. Default: `generate`.
   */
  mode?: "generate" | "text";
  /** What `{model_name}` stands for in prompts. Default: the family's name (Qwen, Llama, Gemma), else the id's first part. */
  model_name?: string;
  /** Further arguments of the chat template. Default: `enable_thinking: false` where the template has that switch. */
  template_args?: TemplateArgs;
  /** Layers whose activations are kept, from 0 to n_layers - 1: some, or a range [start, end). Default: all. */
  layers?: readonly number[] | LayerRange;
  /** Responses in flight at once, from 1: what a kill costs at most, beside a minute's. Default: 64. */
  concurrency?: number;
  /** Ends the call with `aborted`. Default: none. */
  signal?: AbortSignal;
  /** Called as responses are made. Default: none. */
  on_progress?: OnProgress;
}

export const COLLECT_OPTIONS: Rules<CollectOptions> = {
  roles: rules.checkedLater,
  only_roles: subset,
  skip_bad_roles: rules.boolean,
  questions: rules.checkedLater,
  only_questions: subset,
  out: rules.anyOf(rules.text, rules.having("a store", "append")),
  temperature: rules.number(0, 10),
  top_p: rules.number(0, 1),
  max_tokens: rules.whole(1),
  samples: rules.whole(1),
  seed: rules.whole(0),
  questions_per_instruction: rules.whole(1),
  questions_per_role: rules.whole(1),
  limit: rules.whole(1),
  judge: rules.orNull(rules.anyOf(rules.text, rules.callback, rules.having("a judge, an endpoint or rules"))),
  on_warning: rules.callback,
  mode: rules.oneOf("generate", "text"),
  model_name: rules.text,
  template_args: rules.record,
  layers: rules.anyOf(rules.list, rules.record),
  concurrency: rules.whole(1),
  signal: rules.signal,
  on_progress: rules.callback,
};

/** `collect` of `verbs.ts`. */
export async function collect(model: Model, given: CollectOptions = {}): Promise<Run> {
  checkModel(model, "collect");
  const options = readOptions("collect", given, COLLECT_OPTIONS);
  const { manifest, plan, judge, bad } = await prepare(model, options);
  if (judge === null && options.judge !== null) (options.on_warning ?? console.warn)(UNSCORED);
  const text = options.mode === "text";
  const check = new CheckMeter(options.on_progress);
  await using run = await Run.start(options.out, manifest, { adopt: text, on_check: check.report });
  await run.addSkipped(bad.map(skippedRole));
  // Before hours of work, where there is some: is the judge there, and does it take the key?
  for (const planned of plan) {
    if (!isMissing(run, planned)) continue;
    await judge?.check?.(options.signal);
    break;
  }
  if (text) await addActivations(model, run, options);
  else await makeResponses(model, run, plan, options);
  if (judge !== null) await scoreRun(run, judge, options);
  return run;
}

const UNSCORED =
  "nothing will score these responses, and fit goes by scores: give a judge, or score them afterwards by judge(run, ...)";

export function isMissing(run: Run | undefined, { key }: PlannedResponse): boolean {
  return run?.responses.get(key)?.activation === undefined;
}

/** Everything that is settled before the first response is made. */
export interface Prepared {
  manifest: Manifest;
  plan: Iterable<PlannedResponse>;
  judge: Judge | null;
  /** Roles whose file is bad, which are left out. */
  bad: BadRole[];
}

/** Reads what the options name and checks it. Throws as `collect`. */
export async function prepare(model: Model, options: CollectOptions): Promise<Prepared> {
  const recipe = await readRecipe(model);
  const bad: BadRole[] = [];
  const roles = await readRoles(options.roles, model, recipe, {
    only: options.only_roles,
    on_bad: options.skip_bad_roles === true ? (one) => bad.push(one) : undefined,
  });
  const questions = await readQuestions(options.questions, model, recipe, options.only_questions);
  const manifest = manifestOf(model, roles, questions, recipe, options);
  const judge = await judgeFor(model, recipe, manifest, options.judge);
  judge?.checkRoles?.([...roles.keys()].filter((role) => role !== DEFAULT_ROLE));
  const plan = planOf(model, roles, recipe, manifest, options);
  judge?.checkKeys?.(keysOf(plan));
  return { manifest, plan, judge, bad };
}

/** Of the responses that need a score. */
function* keysOf(plan: Iterable<PlannedResponse>): Generator<string> {
  for (const { key, role } of plan) if (role !== DEFAULT_ROLE) yield key;
}

/** The judge prompts as the manifest keeps them, where there are any. */
function judgePromptsOf(roles: ReadonlyMap<string, RoleDefinition>): Pick<Manifest, "judge_prompts"> {
  const judge_prompts = judgePrompts(roles);
  return Object.keys(judge_prompts).length === 0 ? {} : { judge_prompts };
}

async function judgeFor(
  model: Model,
  recipe: Recipe,
  { judge_prompts, questions }: Manifest,
  given: CollectOptions["judge"],
): Promise<Judge | null> {
  if (given === null) return null;
  if (given === undefined) return await recipeJudge(model, recipe);
  return await readJudge(given, judgeContext(judge_prompts ?? {}, questions));
}

/** Shards of the run that is continued, as they are checked. */
class CheckMeter {
  #meter: ProgressMeter | undefined;
  readonly report: (done: number, total: number) => void;

  constructor(on_progress: OnProgress | undefined) {
    this.report = (_, total) => {
      this.#meter ??= new ProgressMeter("check", total, 0, on_progress);
      this.#meter.item(0);
    };
  }
}

function skippedRole({ role, error }: BadRole): SkippedRecord {
  return { role, code: error.code, reason: error.message };
}

function planOf(
  model: Model,
  roles: ReadonlyMap<string, RoleDefinition>,
  recipe: Recipe,
  { seed, sampling, questions, model_name, template_args }: ReturnType<typeof manifestOf>,
  options: CollectOptions,
): Iterable<PlannedResponse> {
  const per = options.questions_per_instruction ?? recipe.collect?.questions_per_instruction;
  const { questions_per_role, limit } = options;
  return planResponses(model, roles, questions, {
    seed,
    samples: sampling.samples,
    model_name,
    template_args,
    ...(per === undefined ? {} : { questions_per_instruction: checkCount("questions_per_instruction", per) }),
    ...(questions_per_role === undefined ? {} : { questions_per_role }),
    ...(limit === undefined ? {} : { limit }),
  });
}

function manifestOf(
  model: Model,
  roles: ReadonlyMap<string, RoleDefinition>,
  questions: Question[],
  recipe: Recipe,
  options: CollectOptions,
): Manifest & { model_name: string } {
  const defaults = recipe.collect ?? {};
  const { min_count } = defaults;
  const { target_layer, cap } = recipe;
  return {
    format: "capstan.run",
    format_version: 1,
    model: {
      id: model.id,
      digest: model.digest,
      ...(model.source ? { source: model.source } : {}),
      ...(model.asked_dtype === "auto" ? {} : { dtype: model.asked_dtype }),
    },
    dtype: model.device.dtype,
    site: "hook_resid_post",
    n_layers: model.spec.n_layers,
    d_model: model.spec.d_model,
    ...layersKept(model, options.layers),
    template: crc32(model.tokenizer.chat_template ?? ""),
    model_name: options.model_name ?? familyName(model),
    sampling: {
      temperature: checkNumber("temperature", options.temperature ?? defaults.temperature ?? 0.7, 0, 10),
      top_p: checkNumber("top_p", options.top_p ?? defaults.top_p ?? 0.9, 0, 1),
      max_tokens: checkCount("max_tokens", options.max_tokens ?? defaults.max_tokens ?? 512),
      samples: checkCount("samples", options.samples ?? defaults.samples ?? 1),
    },
    template_args: quietArgs(model, options.template_args),
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
    ...judgePromptsOf(roles),
    recipe: {
      ...(min_count === undefined ? {} : { min_count }),
      ...(target_layer === undefined ? {} : { target_layer }),
      ...(cap === undefined ? {} : { cap }),
    },
  };
}

/** The layers to keep as the manifest has them: absent where they are all. */
function layersKept(model: Model, given: CollectOptions["layers"]): { layers?: number[] } {
  if (given === undefined) return {};
  const { n_layers } = model.spec;
  const named =
    "start" in given
      ? layersOf(given, n_layers, "collect")
      : given.map((layer) => checkLayer(layer, n_layers, "collect"));
  if (named.length === 0) {
    throw new CapstanError("bad_request", { action: "collect", need: "at least one layer", found: "none" });
  }
  const layers = [...new Set(named)].sort((a, b) => a - b);
  return layers.length === n_layers ? {} : { layers };
}

/** Generates what the run lacks, in flight together, and flushes as it goes. */
async function makeResponses(
  model: Model,
  run: Run,
  plan: Iterable<PlannedResponse>,
  options: CollectOptions,
): Promise<void> {
  const { template_args } = run.manifest;
  const { max_tokens, temperature, top_p } = run.manifest.sampling;
  const sites = keptLayers(run.manifest).map(residPost);
  let [total, n_missing] = [0, 0];
  for (const planned of plan) {
    total += 1;
    if (isMissing(run, planned)) n_missing += 1;
  }
  const make = async (planned: PlannedResponse, signal: AbortSignal): Promise<Made> => {
    const { seed, messages } = planned;
    // Everything that shapes a draw is said, so that the model's own defaults do not.
    const sampling = { temperature, top_p, top_k: 0, min_p: 0, repetition_penalty: 1 };
    const request = { ...sampling, max_tokens, seed, mean: sites, template_args, signal };
    const reply = await generate(model, messages, { ...request, prefix_cache: "brief" }).result;
    const tokens = reply.tokens.length;
    const finish_reason = reply.finish_reason === "stop" ? ("stop" as const) : ("length" as const);
    const response = { ...planned, text: reply.text, tokens, finish_reason };
    return { response, activation: joined(sites.map((site) => reply.means[site]!)) };
  };
  const items = filtered(plan, (planned) => isMissing(run, planned));
  await keepWhatFits(run, { items, total, done: total - n_missing, make }, options);
}

function* filtered<T>(items: Iterable<T>, isWanted: (item: T) => boolean): Generator<T> {
  for (const item of items) if (isWanted(item)) yield item;
}

/** Second pass: activations for the responses that came without, by their texts. */
async function addActivations(model: Model, run: Run, options: CollectOptions): Promise<void> {
  const { template_args } = run.manifest;
  const layers = keptLayers(run.manifest);
  const missing = Array.from(run.responses.values()).filter(({ activation }) => activation === undefined);
  const make = async (response: ResponseRecord, signal: AbortSignal): Promise<Made> => {
    const { activation, tokens } = await textActivation(model, response, { template_args, layers, signal });
    return { response: { ...response, tokens }, activation };
  };
  const items = run.read(missing.map(({ key }) => key));
  const total = run.responses.size;
  await keepWhatFits(run, { items, total, done: total - missing.length, make }, options);
}

/** Of errors that are one prompt's own: it is too long, or the template or the tokenizer does not take it. */
const REFUSALS: readonly string[] = ["context_overflow", "bad_request", "tokenizer"];

/** Makes responses and keeps them; those that the model cannot be given are noted, and the rest goes on. */
async function keepWhatFits<T extends PlannedResponse>(
  run: Run,
  work: {
    items: Iterable<T> | AsyncIterable<T>;
    total: number;
    done: number;
    make: (item: T, signal: AbortSignal) => Promise<Made>;
  },
  { concurrency, signal, on_progress }: CollectOptions,
): Promise<void> {
  let refusal: CapstanError | undefined;
  const make = async (item: T, signal: AbortSignal): Promise<Made> => {
    try {
      return await work.make(item, signal);
    } catch (error) {
      if (!(error instanceof CapstanError) || !REFUSALS.includes(error.code)) throw error;
      refusal ??= error;
      const { key, role, prompt, question, sample } = item;
      return { skipped: { role, key, prompt, question, sample, code: error.code, reason: error.message } };
    }
  };
  await keepAll(run, { ...work, make, concurrency, signal, on_progress });
  // Where nothing at all could be made, no prompt is at fault.
  if (refusal !== undefined && run.responses.size === 0) throw refusal;
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
