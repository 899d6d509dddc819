import { CapstanError } from "../../../models/index.ts";
import { readOptions } from "../../common/options.ts";
import { checkModel } from "../../inference/check_model.ts";
import { joinPath } from "../../platform/index.ts";
import type { Model } from "../../types.ts";
import { type Axis, checkDtype, checkFits } from "../axis/axis.ts";
import { fit as fitAxis } from "../axis/fit.ts";
import { type Caps, cap } from "../caps/caps.ts";
import { collect } from "../collect/collect.ts";
import { checkAxis } from "../inputs.ts";
import { endpointJudge } from "../judge/endpoint_judge.ts";
import type { LayerRange } from "../layers.ts";
import { quietArgs } from "../recipe/model_name.ts";
import { type Recipe, readRecipe } from "../recipe/recipe.ts";
import { answerAll, judgeAll } from "./answer.ts";
import { type Condition, conditionsOf, hooksDigest, suiteDigests } from "./conditions.ts";
import { EvaluationFolder } from "./folder.ts";
import type { EvaluationManifest } from "./manifest.ts";
import { type EvaluateOptions, OPTIONS, type ReadOptions } from "./options.ts";
import { checkPrompts, limited, planReplies } from "./plan.ts";
import { ratesOfSuites, type SuiteRates } from "./rates.ts";
import type { ReplyJudge } from "./reply_judge.ts";
import { readSuites, type SuiteItem } from "./suites.ts";

/** Rates of every suite, uncapped, capped and under controls. */
export interface Evaluation {
  /** By suite: the share of its prompts whose reply passed. Of a jailbreak, that it worked. */
  suites: Record<string, SuiteRates>;
  /** Null when none was given or needed. */
  axis: {
    target_layer: number;
    pc1_cosine: number;
    pc1_cosines: number[];
    dims70: number[];
    n_roles: number;
  } | null;
  /** Null when nothing was capped. */
  cap: { layers: LayerRange; percentile: number | null; tau: number[] } | null;
  /** What was asked: names and files of suites. */
  split: string;
  model: { id: string; digest: string };
  /** Of checks of kind `judge`; null when there are none. */
  judge: string | null;
  /** Folder of the replies; null when they are in none. */
  out: string | null;
  /** What a reader should know of the files that were used. */
  warnings: string[];
}

/** `evaluate` of `verbs.ts`. */
export async function evaluate(model: Model, given: EvaluateOptions = {}): Promise<Evaluation> {
  checkModel(model, "evaluate");
  const { judge, ...rest } = readOptions("evaluate", given, OPTIONS);
  const options: ReadOptions = {
    ...rest,
    judge: judge !== undefined && "url" in judge ? endpointJudge(judge) : judge,
    template_args: quietArgs(model, rest.template_args),
  };
  if (options.axis !== undefined) checkAxis(options.axis, "evaluate");
  const recipe = await readRecipe(model);
  // Read first: a mistake must not cost a collection.
  const all = await readSuites(options.suites ?? "test", model, recipe);
  const items = limited(all, options.limit);
  checkJudge(items, options.judge);
  checkPrompts(model, items, options.template_args);
  const { axis, caps } = await axisAndCaps(model, recipe, options);
  const warnings = [
    ...new Set([
      ...(axis === null ? [] : checkFits(model, axis, "axis")),
      ...(caps === null ? [] : [...checkFits(model, caps, "caps"), ...checkDtype(model, caps)]),
    ]),
  ];
  const conditions = conditionsOf(axis, caps, controlsOf(options.controls, axis, caps));
  const manifest = await manifestOf(model, all, conditions, options);
  await using folder = await EvaluationFolder.start(options.out, manifest);
  const planned = planReplies(items, conditions);
  await answerAll(model, planned, folder, options);
  const replies = await judgeAll(planned, folder, options);
  const result: Omit<Evaluation, "out"> = {
    suites: ratesOfSuites(replies),
    axis: axis === null ? null : summaryOf(axis),
    cap:
      caps === null ? null : { layers: caps.layers, percentile: caps.percentile, tau: [...caps.data.floors] },
    split: splitOf(options),
    model: { id: model.id, digest: model.digest },
    judge: needsJudge(items) ? options.judge!.id : null,
    warnings,
  };
  await folder.finish(replies, result);
  // Of the folder as it was found, which has no place in what it becomes.
  const said = [...warnings, ...folder.warnings];
  return { ...result, warnings: said, out: typeof options.out === "string" ? options.out : null };
}

const needsJudge = (items: readonly SuiteItem[]) =>
  items.some(({ checks }) => checks.some(({ kind }) => kind === "judge"));

function checkJudge(items: readonly SuiteItem[], judge: ReplyJudge | undefined): void {
  if (judge !== undefined || !needsJudge(items)) return;
  const item = items.find((one) => needsJudge([one]))!;
  const need = `a judge, for item ${item.id} of suite ${item.suite} has a check of kind judge`;
  throw new CapstanError("bad_request", {
    action: "evaluate",
    need,
    found: "none",
    fix: "Give judge; on the command line, --judge URL --judge_model NAME.",
  });
}

/** The axis and the caps that were given or can be made; null for what is not needed. */
async function axisAndCaps(
  model: Model,
  recipe: Recipe,
  options: ReadOptions,
): Promise<{ axis: Axis | null; caps: Caps | null }> {
  if (options.caps === null) return { axis: options.axis ?? null, caps: null };
  const has_roles = recipe.roles !== undefined;
  const needs_axis = options.caps === undefined || (options.controls ?? (has_roles ? 5 : 0)) > 0;
  if (options.axis === undefined && needs_axis && !has_roles) throw noAxis(model);
  const axis = options.axis ?? (needs_axis ? await fitByRecipe(model, options) : null);
  return { axis, caps: options.caps ?? cap(axis!) };
}

function noAxis(model: Model): CapstanError {
  return new CapstanError("bad_request", {
    action: "evaluate",
    need: "an axis (the command: --axis FILE), or caps and no controls (--cap FILE --controls 0)",
    found: `neither, and no roles in a capstan.json of ${model.id} to make one by`,
    fix: "capstan collect, capstan fit and capstan cap make them; caps: null (--uncapped) asks the model alone.",
  });
}

function controlsOf(asked: number | undefined, axis: Axis | null, caps: Caps | null): number {
  if (axis === null || caps === null) return 0;
  return asked ?? (caps.percentile === null ? 0 : Math.min(5, axis.data.controls.n));
}

async function fitByRecipe(model: Model, options: ReadOptions): Promise<Axis> {
  const { out, signal, on_progress, concurrency, template_args } = options;
  const run = options.run ?? (typeof out === "string" ? joinPath(out, "run") : undefined);
  const collected = await collect(model, {
    ...(run === undefined ? {} : { out: run }),
    ...(signal === undefined ? {} : { signal }),
    template_args,
    ...(on_progress === undefined ? {} : { on_progress }),
    ...(concurrency === undefined ? {} : { concurrency }),
  });
  return await fitAxis(collected, signal === undefined ? {} : { signal });
}

async function manifestOf(
  model: Model,
  items: readonly SuiteItem[],
  conditions: readonly Condition[],
  options: ReadOptions,
): Promise<EvaluationManifest> {
  const digests = conditions.map(async ({ name, hooks }) => [name, await hooksDigest(hooks)] as const);
  return {
    format: "capstan.evaluation",
    format_version: 1,
    model: { id: model.id, digest: model.digest },
    dtype: model.device.dtype,
    sampling: { temperature: 0 },
    template_args: options.template_args,
    suites: await suiteDigests(items),
    conditions: Object.fromEntries(await Promise.all(digests)),
  };
}

function summaryOf(axis: Axis): NonNullable<Evaluation["axis"]> {
  return {
    target_layer: axis.target_layer,
    pc1_cosine: axis.cos_pc1[axis.target_layer]!,
    pc1_cosines: [...axis.cos_pc1],
    dims70: [...axis.dims70],
    n_roles: axis.roles.length,
  };
}

function splitOf({ suites = "test" }: ReadOptions): string {
  const names = (typeof suites === "string" ? [suites] : suites).filter((one) => typeof one === "string");
  return names.length === 0 ? "given" : names.join(", ");
}
