import * as rules from "../../common/options.ts";
import { layersRule, MODEL, numbersOf } from "../metadata_rules.ts";
import { percentile } from "../numbers/stats.ts";
import { row } from "../numbers/vectors.ts";
import type { Manifest } from "../run/manifest.ts";
import { digestOf, encodeWithDigest, type FileContent, type TensorFile } from "../tensor_file.ts";
import type { LeftOut, ScoreCounts } from "./scored_roles.ts";

/** What an axis holds, as `axis.safetensors` keeps it. Matrices are row-major. */
export interface AxisData {
  model: Manifest["model"];
  n_layers: number;
  d_model: number;
  /** Layers that were collected, ascending; the others' rows are zeros. */
  layers: number[];
  target_layer: number;
  /** [n_layers, d_model]: default less the mean of the role vectors. */
  axis: Float32Array;
  /** [n_layers, d_model]: mean over all responses of the default role. */
  default: Float32Array;
  roles: {
    names: string[];
    /** By role, where it has one. */
    groups: Record<string, string>;
    /** [n_roles, n_layers, d_model]: means over the responses fully in role. */
    vectors: Float32Array;
    /** Responses behind each vector, and behind `default`. */
    counts: Record<string, number>;
    /** Roles that had too few, with why. */
    left_out: Record<string, LeftOut>;
  };
  pca: {
    n_components: number;
    /** Whether centred vectors were brought to unit length first. */
    scale_unit: boolean;
    /** [n_layers, n_components, d_model], the first pointing to the Assistant. */
    components: Float32Array;
    /** [n_layers, d_model] */
    mean: Float32Array;
    /** [n_layers, width]: share of variance of every component. */
    explained: { data: Float32Array; width: number };
  };
  responses: {
    /** [n, n_layers]: of every collected response on the unit axis, in the order of their keys. */
    projections: { data: Float32Array; n: number };
    /** [n]: index into `names`. */
    role_index: Int32Array;
    names: string[];
  };
  controls: {
    seed: number;
    /** [n, n_layers, d_model]: random directions, as long as the axis at their layer. */
    directions: Float32Array;
    /** [n, n_layers, 101]: percentiles 0 to 100 of the collected responses' projections on them. */
    percentiles: Float32Array;
    n: number;
  };
  cos_pc1: number[];
  dims70: number[];
  /** How it was made. */
  made: {
    min_count: number;
    /** Whose scores counted; null where none did. */
    judge: string | null;
    scores: ScoreCounts;
    site: string;
    sampling: Manifest["sampling"];
    seed: number;
    dtype: string;
  };
  /** The cap that the model's recipe chose, where it has one. */
  cap?: Manifest["recipe"]["cap"];
}

const FORMAT = "capstan.axis";
/** For the error where there is no axis. */
export const AXIS_MADE_BY = "An axis is what `capstan fit RUN --out FILE` writes (or `axis.save`).";
/** Percentiles that the metadata spells out by layer; any other comes from `projections.responses`. */
const SPELLED = [0, 1, 5, 10, 25, 50, 75, 90, 95, 99, 100];

export function encodeAxis(data: AxisData): Uint8Array {
  return encodeWithDigest(contentOf(data));
}

/** What an axis is known by: the digest of all that its file holds. */
export function axisDigest(data: AxisData): string {
  return digestOf(contentOf(data));
}

function contentOf(data: AxisData): FileContent {
  const { n_layers, d_model, roles, pca, responses, controls } = data;
  const n = responses.projections.n;
  const tensors = {
    axis: { shape: [n_layers, d_model], data: data.axis },
    default: { shape: [n_layers, d_model], data: data.default },
    roles: { shape: [roles.names.length, n_layers, d_model], data: roles.vectors },
    "pca.components": { shape: [n_layers, pca.n_components, d_model], data: pca.components },
    "pca.mean": { shape: [n_layers, d_model], data: pca.mean },
    "pca.explained": { shape: [n_layers, pca.explained.width], data: pca.explained.data },
    "projections.responses": { shape: [n, n_layers], data: responses.projections.data },
    "projections.role_index": { shape: [n], data: responses.role_index },
    "controls.directions": { shape: [controls.n, n_layers, d_model], data: controls.directions },
    "controls.percentiles": { shape: [controls.n, n_layers, 101], data: controls.percentiles },
  };
  const metadata = {
    format: FORMAT,
    format_version: 1,
    model: data.model,
    layers: data.layers.length === n_layers ? undefined : data.layers,
    target_layer: data.target_layer,
    roles: roles.names,
    groups: roles.groups,
    counts: roles.counts,
    left_out: roles.left_out,
    response_roles: responses.names,
    percentiles: spelledPercentiles(data),
    cos_pc1: data.cos_pc1,
    dims70: data.dims70,
    scale_unit: pca.scale_unit,
    controls_seed: controls.seed,
    made: data.made,
    cap: data.cap ?? null,
  };
  return { tensors, metadata };
}

/** `{ p: [...], layers: [[...] for each layer] }` */
export function spelledPercentiles(
  { responses, n_layers }: AxisData,
  some: readonly number[] = Array.from({ length: n_layers }, (_, layer) => layer),
): { p: number[]; layers: number[][] } {
  const { data, n } = responses.projections;
  const layers = some.map((layer) => {
    const values = Float64Array.from({ length: n }, (_, i) => data[i * n_layers + layer]!);
    return SPELLED.map((p) => percentile(values, p));
  });
  return { p: SPELLED, layers };
}

/** Reads the file back. Throws `bad_file`. */
export function decodeAxis(file: TensorFile): AxisData {
  file.expectFormat(FORMAT, 1, AXIS_MADE_BY);
  file.checkContent();
  const [n_layers, d_model] = file.shape("axis", 2) as [number, number];
  const names = file.json<string[]>("roles", rules.texts);
  const [, n_components] = file.shape("pca.components", 3) as [number, number];
  const [, width] = file.shape("pca.explained", 2) as [number, number];
  const [n] = file.shape("projections.responses", 2) as [number];
  const [n_controls] = file.shape("controls.directions", 3) as [number];
  const cap = file.json<AxisData["cap"] | null>("cap", rules.orNull(rules.record));
  const by_layer = numbersOf(n_layers);
  const data: AxisData = {
    model: file.json("model", MODEL),
    n_layers,
    d_model,
    layers: file.hasMetadata("layers")
      ? file.json("layers", layersRule(n_layers))
      : Array.from({ length: n_layers }, (_, i) => i),
    target_layer: file.json("target_layer", rules.whole(0, Math.max(0, n_layers - 1))),
    axis: file.f32("axis", [n_layers, d_model]),
    default: file.f32("default", [n_layers, d_model]),
    roles: {
      names,
      groups: file.json("groups", rules.record),
      vectors: file.f32("roles", [names.length, n_layers, d_model]),
      counts: file.json("counts", rules.record),
      left_out: file.json("left_out", rules.record),
    },
    pca: {
      n_components,
      scale_unit: file.json("scale_unit", rules.boolean),
      components: file.f32("pca.components", [n_layers, n_components, d_model]),
      mean: file.f32("pca.mean", [n_layers, d_model]),
      explained: { data: file.f32("pca.explained", [n_layers, width]), width },
    },
    responses: {
      projections: { data: file.f32("projections.responses", [n, n_layers]), n },
      role_index: file.i32("projections.role_index", [n]),
      names: file.json("response_roles", rules.texts),
    },
    controls: {
      seed: file.json("controls_seed", rules.number()),
      directions: file.f32("controls.directions", [n_controls, n_layers, d_model]),
      percentiles: file.f32("controls.percentiles", [n_controls, n_layers, 101]),
      n: n_controls,
    },
    cos_pc1: file.json("cos_pc1", by_layer),
    dims70: file.json("dims70", by_layer),
    made: file.json("made", rules.record),
    ...(cap === null ? {} : { cap }),
  };
  checkTogether(file, data);
  return data;
}

/** What each value says by itself fits; whether they fit each other. */
function checkTogether(file: TensorFile, { layers, target_layer, axis, d_model, responses }: AxisData): void {
  if (!layers.includes(target_layer))
    file.refuse("a target_layer that was collected", `${target_layer}, and ${layers.join(", ")} collected`);
  const empty = layers.find((layer) => row(axis, layer, d_model).every((x) => x === 0));
  if (empty !== undefined) file.refuse("a direction at every collected layer", `zeros at layer ${empty}`);
  const { role_index, names } = responses;
  const strange = role_index.find((index) => index < 0 || index >= names.length);
  if (strange !== undefined)
    file.refuse(`projections.role_index below ${names.length}, the roles there are`, `${strange}`);
}
