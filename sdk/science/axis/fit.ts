import { entryOf } from "../../../models/certain.ts";
import { abortedError, CapstanError, show } from "../../../models/index.ts";
import * as rules from "../../common/options.ts";
import { type Rules, readOptions } from "../../common/options.ts";
import { checkRun } from "../inputs.ts";
import { checkLayer, readLayer } from "../layers.ts";
import { VectorSum } from "../numbers/stats.ts";
import { cosine, dot, meanOf, row, subtract, unit } from "../numbers/vectors.ts";
import { DEFAULT_ROLE } from "../recipe/default_role.ts";
import { keptLayers, type Manifest } from "../run/manifest.ts";
import type { ResponseEntry, ScoreRecord } from "../run/records.ts";
import { Run } from "../run/run.ts";
import { Axis } from "./axis.ts";
import type { AxisData } from "./axis_file.ts";
import { ControlProjections } from "./controls.ts";
import { dimensionsFor, type Pca, pca } from "./pca.ts";
import { chooseJudge, type LeftOut, leftOut, scoreCounts } from "./scored_roles.ts";

/** What an axis is fitted from. */
export interface FitOptions {
  /** Whose scores count, by the judge's id, where the run has those of several. Default: the run's one judge. */
  judge_id?: string;
  /** Responses fully in role that a role needs, from 1. Default: the recipe's, else 50 as published. */
  min_count?: number;
  /** Layer where projections are read by default, from 0. Default: the recipe's, else 22 of 46 as published, else the middle one. */
  target_layer?: number;
  /** PCA of the centred role vectors at unit length. Default: false. */
  scale_unit?: boolean;
  /** Random directions to measure beside the axis, and what they are drawn from. Default: 5, seed 0. */
  controls?: { n: number; seed: number };
  /** Is given what is odd about the files of a run that is named by its folder. Default: `console.warn`. */
  on_warning?: (text: string) => void;
  /** Ends the call with `aborted`. Default: none. */
  signal?: AbortSignal;
}

const OPTIONS: Rules<FitOptions> = {
  judge_id: rules.text,
  min_count: rules.whole(1),
  target_layer: rules.whole(0),
  scale_unit: rules.boolean,
  controls: rules.record,
  on_warning: rules.callback,
  signal: rules.signal,
};

/** Principal components that the file keeps of each layer; the paper needs 4 to 19 for 70 % of the variance. */
const MAX_COMPONENTS = 32;

/** `fit` of `verbs.ts`. */
export async function fit(source: Run | string, given: FitOptions = {}): Promise<Axis> {
  const options = readOptions("fit", given, OPTIONS);
  const run = typeof source === "string" ? await openRun(source, options) : checkRun(source);
  const { manifest } = run;
  const { n_layers, d_model } = manifest;
  const min_count = checkMinCount(options.min_count ?? manifest.recipe.min_count ?? 50);
  const layers = keptLayers(manifest);
  const target_layer =
    options.target_layer ?? nearestOf(layers, manifest.recipe.target_layer ?? readLayer(n_layers));
  checkLayer(target_layer, n_layers, "fit", layers);

  const judge = chooseJudge(run, options.judge_id);
  const sums = await sumByRole(run, judge, options.signal);
  const assistant = sums.get(DEFAULT_ROLE);
  if (assistant === undefined || assistant.count === 0)
    throw tooLittle(run, "responses of the default role", "none");
  const names = [...sums.keys()].filter((name) => name !== DEFAULT_ROLE).sort();
  const kept = names.filter((name) => entryOf(sums, name).count >= min_count);
  const left_out = leftOut(
    run,
    judge,
    names.filter((name) => !kept.includes(name)),
    min_count,
  );
  checkKept(run, kept, left_out, min_count);

  const size = n_layers * d_model;
  const vectors = new Float32Array(kept.length * size);
  for (const [i, name] of kept.entries()) vectors.set(entryOf(sums, name).mean(), i * size);
  const default_vector = assistant.mean();
  const mean_role = meanOf(kept.map((name) => entryOf(sums, name).mean()));
  const axis = Float32Array.from(subtract(default_vector, mean_role));
  checkAxis(run, axis, layers);

  const groups = Object.entries(manifest.roles).flatMap(([name, { group }]) =>
    group === undefined ? [] : [[name, group] as const],
  );
  const countsOf = (chosen: readonly string[]) =>
    Object.fromEntries(chosen.map((name) => [name, entryOf(sums, name).count]));
  const { site, sampling, seed, dtype, recipe } = manifest;
  return new Axis({
    model: manifest.model,
    n_layers,
    d_model,
    layers,
    target_layer,
    axis,
    default: Float32Array.from(default_vector),
    roles: {
      names: kept,
      groups: Object.fromEntries(groups),
      vectors,
      counts: countsOf([DEFAULT_ROLE, ...kept]),
      left_out,
    },
    ...fitSpaces(vectors, axis, kept.length, manifest, options),
    ...(await project(run, axis, options)),
    made: { min_count, judge: judge ?? null, scores: scoreCounts(run, judge), site, sampling, seed, dtype },
    ...(recipe.cap === undefined ? {} : { cap: recipe.cap }),
  });
}

async function openRun(folder: string, { on_warning = console.warn }: FitOptions): Promise<Run> {
  const run = await Run.open(folder);
  for (const warning of run.warnings) on_warning(warning);
  return run;
}

/** Sums [n_layers * d_model] by role: all responses of the default, those of score 3 of the others. */
async function sumByRole(
  run: Run,
  judge: string | undefined,
  signal?: AbortSignal,
): Promise<Map<string, VectorSum>> {
  const size = run.manifest.n_layers * run.manifest.d_model;
  const roles = new Set(Array.from(run.responses.values(), ({ role }) => role));
  const sums = new Map(Array.from(roles, (role) => [role, new VectorSum(size)]));
  const scores = run.scoresOf(judge ?? "");
  for await (const { responses, data } of run.activations(signal)) {
    for (const [i, response] of responses.entries()) {
      if (counts(response, scores)) entryOf(sums, response.role).add(row(data, i, size));
    }
  }
  return sums;
}

/** The layer of some that is nearest to a place; of two the earlier. */
function nearestOf(layers: readonly number[], place: number): number {
  const middle = Math.floor(place);
  return layers.reduce((best, layer) => (Math.abs(layer - middle) < Math.abs(best - middle) ? layer : best));
}

function counts(response: ResponseEntry, scores: ReadonlyMap<string, ScoreRecord>): boolean {
  if (response.tokens === 0) return false;
  return response.role === DEFAULT_ROLE || scores.get(response.key)?.score === 3;
}

/** PCA of the role vectors in each layer, its first component turned to the Assistant. */
function fitSpaces(
  vectors: Float32Array,
  axis: Float32Array,
  n_roles: number,
  manifest: Manifest,
  options: FitOptions,
): Pick<AxisData, "pca" | "cos_pc1" | "dims70"> {
  const scale_unit = options.scale_unit ?? false;
  const { n_layers, d_model } = manifest;
  const kept = new Set(keptLayers(manifest));
  const spaces: Pca[] = [];
  for (let layer = 0; layer < n_layers; layer++) {
    if (options.signal?.aborted) throw abortedError("fit", options.signal);
    if (!kept.has(layer)) {
      spaces.push({ mean: new Float64Array(d_model), components: [], explained: [], loadings: [] });
      continue;
    }
    const rows = Array.from({ length: n_roles }, (_, i) => row(vectors, i * n_layers + layer, d_model));
    spaces.push(pca(rows, { scale_unit }));
  }
  const width = Math.max(...spaces.map(({ explained }) => explained.length));
  const n_components = Math.min(width, MAX_COMPONENTS);
  const components = new Float32Array(n_layers * n_components * d_model);
  const mean = new Float32Array(n_layers * d_model);
  const explained = new Float32Array(n_layers * width);
  const cos_pc1 = spaces.map((space, layer) => {
    mean.set(space.mean, layer * d_model);
    explained.set(space.explained, layer * width);
    const along =
      space.components[0] === undefined ? 0 : cosine(space.components[0], row(axis, layer, d_model));
    for (const [k, component] of space.components.slice(0, n_components).entries()) {
      const turned = k === 0 && along < 0 ? component.map((x) => -x) : component;
      components.set(turned, (layer * n_components + k) * d_model);
    }
    return Math.abs(along);
  });
  return {
    pca: { n_components, scale_unit, components, mean, explained: { data: explained, width } },
    cos_pc1,
    dims70: spaces.map(({ explained }) => dimensionsFor(explained, 0.7)),
  };
}

/** Projections of every response on the unit axis and on the random directions, in the order of the keys. */
async function project(
  run: Run,
  axis: Float32Array,
  options: FitOptions,
): Promise<Pick<AxisData, "responses" | "controls">> {
  const { n_layers, d_model } = run.manifest;
  const layers = keptLayers(run.manifest);
  const used = [...run.responses.values()].filter((r) => r.activation !== undefined && r.tokens > 0);
  const keys = used.map(({ key }) => key).sort();
  const at = new Map(keys.map((key, i) => [key, i]));
  const names = [...new Set(used.map(({ role }) => role))].sort();
  const role_index = Int32Array.from(keys, (key) => names.indexOf(entryOf(run.responses, key).role));
  const directions = new Map(layers.map((layer) => [layer, unit(row(axis, layer, d_model))]));
  const data = new Float32Array(keys.length * n_layers);
  const controls = new ControlProjections(
    axis,
    keys.length,
    run.manifest,
    options.controls ?? { n: 5, seed: 0 },
  );
  for await (const batch of run.activations(options.signal)) {
    for (const [i, { key }] of batch.responses.entries()) {
      const index = at.get(key);
      if (index === undefined) continue;
      for (const layer of layers) {
        const activation = row(batch.data, i * n_layers + layer, d_model);
        data[index * n_layers + layer] = dot(activation, entryOf(directions, layer));
        controls.add(index, layer, activation);
      }
    }
  }
  return {
    responses: { projections: { data, n: keys.length }, role_index, names },
    controls: controls.finish(),
  };
}

function checkMinCount(value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value;
  const parts = { action: "fit", need: "min_count, a whole number above 0", found: show(value) };
  throw new CapstanError("bad_request", parts);
}

function checkKept(
  run: Run,
  kept: readonly string[],
  left_out: Readonly<Record<string, LeftOut>>,
  min_count: number,
): void {
  if (kept.length >= 2) return;
  const others = Object.values(left_out);
  if (others.length > 0 && run.judges.length === 0) {
    const fix = "`capstan judge RUN --judge all` scores them, or --judge URL --judge_model NAME.";
    throw tooLittle(run, "scored responses", "no scores", fix);
  }
  const best = others.reduce((best, { count }) => Math.max(best, count), 0);
  const need = `at least 2 roles with ${min_count} responses fully in role`;
  const found = `${kept.length}, and at most ${best} in any of the other ${others.length}`;
  throw tooLittle(run, need, found, "Collect more, or lower min_count (--min_count).");
}

function checkAxis(run: Run, axis: Float32Array, layers: readonly number[]): void {
  const { d_model } = run.manifest;
  for (const layer of layers) {
    const length = dot(row(axis, layer, d_model), row(axis, layer, d_model));
    if (length > 0 && Number.isFinite(length)) continue;
    throw tooLittle(run, `default and roles to differ in layer ${layer}`, `a difference of length ${length}`);
  }
}

function tooLittle(run: Run, need: string, found: string, fix?: string): CapstanError {
  const parts = { action: `fit ${run.name}`, need, found };
  return new CapstanError("bad_request", fix === undefined ? parts : { ...parts, fix });
}
