import { CapstanError, type Hook, show } from "../../models/index.ts";
import { generate } from "../generate.ts";
import * as rules from "../options.ts";
import { type Rules, readOptions } from "../options.ts";
import { eachOf, IN_FLIGHT } from "../pool.ts";
import type { Model, TemplateArgs } from "../types.ts";
import { type Axis, checkFits } from "./axis.ts";
import { type Caps, cap, randomControl } from "./caps.ts";
import { passes } from "./checks.ts";
import { type CollectOptions, collect } from "./collect.ts";
import { fit as fitAxis } from "./fit.ts";
import { checkAxis, checkModel } from "./inputs.ts";
import type { LayerRange } from "./layers.ts";
import { type OnProgress, ProgressMeter } from "./progress.ts";
import { readRecipe } from "./recipe.ts";
import { type Rate, wilson } from "./stats.ts";
import { type Case, readCases, SUITES, type SuiteName } from "./suites.ts";

export interface EvaluateOptions {
  /** A split of the model's recipe (`dev`, `test`) or a file of JSON lines. Default: `test`. */
  suites?: string;
  /** Default: collected and fitted by the recipe first. */
  axis?: Axis;
  /** Default: the recipe's cap of the axis. */
  caps?: Caps;
  /** Random directions to cap as controls. Default: 5. */
  controls?: number;
  /** At most this many prompts of each group of a suite. */
  limit?: number;
  /** Folder of the run, when the axis is not given. Default: in memory. */
  out?: CollectOptions["out"];
  /** Further arguments of the chat template, such as `enable_thinking: false`. */
  template_args?: TemplateArgs;
  /** Prompts in flight at once. Default: 64. */
  concurrency?: number;
  signal?: AbortSignal;
  on_progress?: OnProgress;
}

const OPTIONS: Rules<EvaluateOptions> = {
  suites: rules.text,
  axis: rules.checkedLater,
  caps: rules.having("caps: what cap or readCaps gave", "hooks", "data"),
  controls: rules.whole(0),
  limit: rules.whole(1),
  out: rules.anyOf(rules.text, rules.having("a store", "append")),
  template_args: rules.record,
  concurrency: rules.whole(1),
  signal: rules.signal,
  on_progress: rules.callback,
};

/** Rates of one set of prompts, with 95 % Wilson intervals. */
export interface SuiteResult {
  uncapped: Rate;
  capped: Rate;
  /** All controls together, and each alone. Absent when there are none. */
  control?: Rate & { seeds: (Rate & { seed: number })[] };
  /** Prompts that pass under one only: the two of a pair share everything but the cap. */
  paired: { only_uncapped: number; only_capped: number };
}

export interface Evaluation {
  /** jailbreak: the share that worked; capability: answered right; refusal: refused. */
  suites: Partial<Record<SuiteName, SuiteResult & { groups: Record<string, SuiteResult> }>>;
  axis: {
    target_layer: number;
    pc1_cosine: number;
    pc1_cosines: number[];
    dims70: number[];
    n_roles: number;
  };
  cap: { layers: LayerRange; percentile: number | null; tau: number[] };
  split: string;
  model: { id: string; digest: string };
  /** What a reader should know of the files that were used. */
  warnings: string[];
}

/**
 * Measures what capping does: every prompt greedily uncapped, capped, and under the same cap on random
 * directions (paper, section 5). Without an axis it collects and fits by the model's recipe first.
 *
 * @throws CapstanError `not_found`, `bad_file`, `bad_request`, `aborted`, and what `collect` and `fit` throw
 * @example
 * const { suites } = await evaluate(model, { suites: "test", axis, caps });
 * suites.jailbreak?.capped.rate;
 */
export async function evaluate(model: Model, given: EvaluateOptions = {}): Promise<Evaluation> {
  checkModel(model, "evaluate");
  const options = readOptions("evaluate", given, OPTIONS);
  if (options.axis !== undefined) checkAxis(options.axis, "evaluate");
  const recipe = await readRecipe(model);
  const split = options.suites ?? "test";
  // Read first: a wrong name must not cost a collection.
  const cases = limited(await readCases(split, model, recipe), options.limit);
  const n_controls = checkControls(options.controls ?? 5);
  const axis = options.axis ?? (await fitByRecipe(model, options));
  const caps = options.caps ?? cap(axis);
  const warnings = [...new Set([...checkFits(model, axis, "axis"), ...checkFits(model, caps, "caps")])];
  const controls = Array.from({ length: n_controls }, (_, i) => randomControl(axis, caps, i).hooks);
  const outcomes = await runCases(model, cases, [[], caps.hooks, ...controls], options);
  return {
    suites: Object.fromEntries(
      SUITES.filter((suite) => cases.some((one) => one.suite === suite)).map((suite) => {
        return [suite, suiteResult(outcomes.filter(({ of }) => of.suite === suite))];
      }),
    ),
    axis: {
      target_layer: axis.target_layer,
      pc1_cosine: axis.cos_pc1[axis.target_layer]!,
      pc1_cosines: [...axis.cos_pc1],
      dims70: [...axis.dims70],
      n_roles: axis.roles.length,
    },
    cap: { layers: caps.layers, percentile: caps.percentile, tau: [...caps.data.floors] },
    split,
    model: { id: model.id, digest: model.digest },
    warnings,
  };
}

async function fitByRecipe(model: Model, options: EvaluateOptions): Promise<Axis> {
  const { out, signal, on_progress, concurrency, template_args } = options;
  const run = await collect(model, {
    ...(out === undefined ? {} : { out }),
    ...(signal === undefined ? {} : { signal }),
    ...(template_args === undefined ? {} : { template_args }),
    ...(on_progress === undefined ? {} : { on_progress }),
    ...(concurrency === undefined ? {} : { concurrency }),
  });
  return await fitAxis(run, signal === undefined ? {} : { signal });
}

/** A prompt and whether its reply passed, under each set of hooks: uncapped, capped, controls. */
interface Outcome {
  of: Case;
  passed: boolean[];
}

async function runCases(
  model: Model,
  cases: readonly Case[],
  variants: readonly (readonly Hook[])[],
  options: EvaluateOptions,
): Promise<Outcome[]> {
  const outcomes = cases.map((of) => ({ of, passed: variants.map(() => false) }));
  // Variant by variant, so that a batch shares few sets of hooks and prefixes are reused.
  const jobs = variants.flatMap((hooks, variant) => outcomes.map((outcome) => ({ hooks, variant, outcome })));
  const meter = new ProgressMeter("evaluate", jobs.length, 0, options.on_progress);
  const pool = { concurrency: options.concurrency ?? IN_FLIGHT, action: "evaluate", signal: options.signal };
  const work = async ({ hooks, variant, outcome }: (typeof jobs)[number], signal: AbortSignal) => {
    const { messages, max_tokens, check, suite } = outcome.of;
    const { template_args = {} } = options;
    const greedy = { temperature: 0, repetition_penalty: 1, seed: 0, template_args };
    const { text, tokens } = await generate(model, messages, { ...greedy, max_tokens, hooks, signal }).result;
    outcome.passed[variant] = passes(check, text);
    meter.item(tokens.length, suite);
  };
  await eachOf(jobs, work, pool);
  return outcomes;
}

function suiteResult(outcomes: readonly Outcome[]): SuiteResult & { groups: Record<string, SuiteResult> } {
  const names = [...new Set(outcomes.map(({ of }) => of.group))];
  const groups = names.map(
    (name) => [name, ratesOf(outcomes.filter(({ of }) => of.group === name))] as const,
  );
  return { ...ratesOf(outcomes), groups: Object.fromEntries(groups) };
}

function ratesOf(outcomes: readonly Outcome[]): SuiteResult {
  const n = outcomes.length;
  const passed = (variant: number) => outcomes.filter((outcome) => outcome.passed[variant]).length;
  const n_controls = outcomes[0]!.passed.length - 2;
  const counts = Array.from({ length: n_controls }, (_, i) => passed(i + 2));
  const all = counts.reduce((sum, count) => sum + count, 0);
  const seeds = counts.map((count, seed) => ({ seed, ...wilson(count, n) }));
  return {
    uncapped: wilson(passed(0), n),
    capped: wilson(passed(1), n),
    ...(n_controls === 0 ? {} : { control: { ...wilson(all, n * n_controls), seeds } }),
    paired: {
      only_uncapped: outcomes.filter((outcome) => outcome.passed[0] && !outcome.passed[1]).length,
      only_capped: outcomes.filter((outcome) => !outcome.passed[0] && outcome.passed[1]).length,
    },
  };
}

function limited(cases: readonly Case[], limit: number | undefined): Case[] {
  if (limit === undefined) return [...cases];
  const taken = new Map<string, number>();
  return cases.filter(({ suite, group }) => {
    const name = `${suite} ${group}`;
    taken.set(name, (taken.get(name) ?? 0) + 1);
    return taken.get(name)! <= limit;
  });
}

function checkControls(n: number): number {
  if (Number.isSafeInteger(n) && n >= 0) return n;
  const parts = { action: "evaluate", need: "controls, a whole number", found: show(n) };
  throw new CapstanError("bad_request", parts);
}
