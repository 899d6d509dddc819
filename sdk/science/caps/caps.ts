import { itemAt, lastOf } from "../../../models/certain.ts";
import { CapstanError, type Hook, show } from "../../../models/index.ts";
import * as rules from "../../common/options.ts";
import { type Rules, readOptions } from "../../common/options.ts";
import { writeFileAtomic } from "../../platform/index.ts";
import type { Axis } from "../axis/axis.ts";
import { type AxisData, spelledPercentiles } from "../axis/axis_file.ts";
import { checkAxis } from "../inputs.ts";
import { checkPercentile, type LayerRange, layersOf, publishedRange, residPost } from "../layers.ts";
import { MODEL } from "../metadata_rules.ts";
import { percentileOfSorted } from "../numbers/stats.ts";
import { row } from "../numbers/vectors.ts";
import type { Manifest } from "../run/manifest.ts";
import { encodeWithDigest, type FileInput, TensorFile } from "../tensor_file.ts";
import { checkCaps } from "./check_caps.ts";

/** Where caps act, and from where on. */
export interface CapOptions {
  /**
   * Layers [start, end) to cap. Default: the recipe's, which the axis carries along, else those at the depths that the
   * paper caps: 46:54 of 64 in Qwen 3 32B, 56:72 of 80 in Llama 3.3 70B, whichever has nearer as many layers.
   */
  layers?: LayerRange;
  /**
   * tau is this percentile, from 0 to 100, of the collected responses' projections. Default: the recipe's, else 25.
   */
  percentile?: number;
  /** tau itself, any number, for all layers or one for each. Default: by the percentile. */
  tau?: number | readonly number[];
}

const OPTIONS: Rules<CapOptions> = {
  layers: rules.record,
  percentile: rules.checkedLater,
  tau: rules.anyOf(rules.number(), rules.list),
};

/** What caps hold, as `*.cap.safetensors` keeps it. */
export interface CapsData {
  model: Manifest["model"];
  n_layers: number;
  d_model: number;
  /** The capped layers, [n]. */
  layers: Int32Array;
  /** [n, d_model], of any length. */
  vectors: Float32Array;
  /** [n], least projection on the unit vector; -Infinity for none. */
  floors: Float32Array;
  /** [n], greatest projection; Infinity for none. */
  ceilings: Float32Array;
  /** Null when tau was given outright. */
  percentile: number | null;
  /** `axis`, or `control {n}`: what the vectors are. */
  of: string;
  /** The axis behind them; absent where they were made without one, or by an older version. */
  axis?: AxisOfCaps;
}

/** What caps say of the axis that they were made of, and what `fit` measured on it. */
export interface AxisOfCaps {
  /** `Axis.digest` */
  digest: string;
  target_layer: number;
  /** Roles behind it, with the responses of each and of `default`; roles that have no part in it, with why. */
  roles: string[];
  counts: Record<string, number>;
  left_out: AxisData["roles"]["left_out"];
  made: AxisData["made"];
  /** What was measured at each capped layer, in order. */
  measured: {
    /** The collected responses whose projections these are. */
    n_responses: number;
    /** Percentiles `p` of their projections on the axis, a list for each capped layer. */
    percentiles: { p: number[]; layers: number[][] };
    /** Projection of the mean Assistant response. */
    default_projection: number[];
    /** |cos| of the first principal component with the axis. */
    cos_pc1: number[];
  };
}

/** Activation caps of a range of layers: hooks for `generate` and `forward`. Made by `cap`. */
export class Caps {
  /** Everything that `*.cap.safetensors` keeps. */
  readonly data: CapsData;
  /** One `cap` for each layer, in order. */
  readonly hooks: Hook[];

  /** @throws CapstanError `bad_request` for caps that no model could run under */
  constructor(data: CapsData) {
    checkCaps(data, "make caps", "bad_request");
    this.data = data;
    this.hooks = Array.from(data.layers, (layer, i) => {
      const vector = row(data.vectors, i, data.d_model).slice();
      const floor = data.floors[i]!;
      const ceiling = data.ceilings[i]!;
      return {
        kind: "cap",
        site: residPost(layer),
        vector,
        ...(floor === Number.NEGATIVE_INFINITY ? {} : { floor }),
        ...(ceiling === Number.POSITIVE_INFINITY ? {} : { ceiling }),
      };
    });
  }

  /** The model they were made for. */
  get model(): CapsData["model"] {
    return this.data.model;
  }

  /** How that model's weights were stored when the axis was measured; undefined where the file does not say. */
  get dtype(): string | undefined {
    return this.data.axis?.made.dtype;
  }

  /** Layers of that model. */
  get n_layers(): number {
    return this.data.n_layers;
  }

  /** Length of the capped vectors. */
  get d_model(): number {
    return this.data.d_model;
  }

  /** The capped layers, [start, end). */
  get layers(): LayerRange {
    return { start: this.data.layers[0]!, end: lastOf(this.data.layers) + 1 };
  }

  /** The percentile that tau is; null where tau was given. */
  get percentile(): number | null {
    return this.data.percentile;
  }

  /** The caps as a safetensors file. */
  toBytes(): Uint8Array {
    const { layers, vectors, floors, ceilings, ...metadata } = this.data;
    const n = layers.length;
    const tensors = {
      layers: { shape: [n], data: layers },
      vectors: { shape: [n, this.d_model], data: vectors },
      floors: { shape: [n], data: floors },
      ceilings: { shape: [n], data: ceilings },
    };
    return encodeWithDigest({ tensors, metadata: { format: FORMAT, format_version: 1, ...metadata } });
  }

  /** Writes `*.cap.safetensors`, whole or not at all. */
  async save(path: string): Promise<void> {
    await writeFileAtomic(path, this.toBytes());
  }
}

const FORMAT = "capstan.cap";
const MADE_BY = "Caps are what `capstan cap AXIS --out FILE` writes (or `caps.save`).";

/**
 * Caps a model to its Assistant: in each layer of a range, the projection on the axis is kept from falling
 * below tau, a percentile of the projections of all collected responses there (paper, section 5).
 *
 * @throws CapstanError `bad_request` for a range or percentile that is none
 * @example
 * const caps = cap(axis, { layers: { start: 4, end: 6 }, percentile: 25 });
 * generate(model, messages, { hooks: caps.hooks });
 */
export function cap(axis: Axis, given: CapOptions = {}): Caps {
  checkAxis(axis, "cap");
  const options = readOptions("cap", given, OPTIONS);
  const { layers, percentile } = settings(axis, options);
  const vectors = layers.map((layer) => axis.layer(layer));
  const floors =
    options.tau === undefined
      ? layers.map((layer) => axis.percentile(layer, percentile))
      : taus(options.tau, layers);
  return capsOf(axis, layers, vectors, floors, options.tau === undefined ? percentile : null, "axis");
}

/**
 * The control of caps: the same layers and percentile on random directions as long as the axis. `index` chooses
 * among those that `fit` measured the responses on.
 *
 * @throws CapstanError `bad_request` when the axis has no control of that index, or the caps no percentile
 * @example
 * const control = randomControl(axis, caps, 0);
 * generate(model, messages, { hooks: control.hooks });
 */
export function randomControl(axis: Axis, caps: Caps, index: number): Caps {
  const { controls, n_layers, d_model } = axis.data;
  const action = "make a control";
  if (!Number.isSafeInteger(index) || index < 0 || index >= controls.n) {
    const fix = "Fit again with more controls.";
    const need = `an index below ${controls.n}, the random directions the axis was fitted with`;
    throw new CapstanError("bad_request", { action, need, found: show(index), fix });
  }
  const { percentile } = caps;
  if (percentile === null) {
    const found = "caps of a given tau";
    throw new CapstanError("bad_request", { action, need: "caps of a percentile", found });
  }
  const layers = [...caps.data.layers];
  const at = layers.map((layer) => index * n_layers + layer);
  const vectors = at.map((i) => row(controls.directions, i, d_model));
  const floors = at.map((i) => percentileOfSorted(row(controls.percentiles, i, 101), percentile));
  return capsOf(axis, layers, vectors, floors, percentile, `control ${index}`);
}

function settings(axis: Axis, options: CapOptions): { layers: number[]; percentile: number } {
  const recipe = axis.data.cap;
  const percentile = checkPercentile(options.percentile ?? recipe?.percentile ?? 25, "cap");
  const range = options.layers ?? recipe?.layers;
  if (range !== undefined) return { layers: layersOf(range, axis.n_layers, "cap"), percentile };
  const published = publishedRange(axis.n_layers);
  // Of layers that were not collected there is no axis.
  const layers = layersOf(published, axis.n_layers, "cap").filter((layer) => axis.layers.includes(layer));
  if (layers.length > 0) return { layers, percentile };
  throw new CapstanError("bad_request", {
    action: "cap",
    need: "layers { start, end } (--layers START:END) among those that were collected",
    found: `none, and none collected at the depths that the paper caps, ${published.start}:${published.end}`,
    fix: `Collected are ${axis.layers.join(", ")}.`,
  });
}

function taus(tau: number | readonly number[], layers: readonly number[]): number[] {
  const list = typeof tau === "number" ? layers.map(() => tau) : [...tau];
  if (list.length === layers.length && list.every((value) => Number.isFinite(value))) return list;
  const need = `tau as a number, or as ${layers.length} numbers, one a layer`;
  throw new CapstanError("bad_request", { action: "cap", need, found: show(tau) });
}

function capsOf(
  axis: Axis,
  layers: readonly number[],
  vectors: readonly Float32Array[],
  floors: readonly number[],
  percentile: number | null,
  of: string,
): Caps {
  const all = new Float32Array(layers.length * axis.d_model);
  for (const [i, vector] of vectors.entries()) all.set(vector, i * axis.d_model);
  return new Caps({
    model: axis.model,
    n_layers: axis.n_layers,
    d_model: axis.d_model,
    layers: Int32Array.from(layers),
    vectors: all,
    floors: Float32Array.from(floors),
    ceilings: new Float32Array(layers.length).fill(Number.POSITIVE_INFINITY),
    percentile,
    of,
    axis: axisOf(axis, layers),
  });
}

function axisOf(axis: Axis, layers: readonly number[]): AxisOfCaps {
  const { roles, made, responses } = axis.data;
  return {
    digest: axis.digest,
    target_layer: axis.target_layer,
    roles: roles.names,
    counts: roles.counts,
    left_out: roles.left_out,
    made,
    measured: {
      n_responses: responses.projections.n,
      percentiles: spelledPercentiles(axis.data, layers),
      default_projection: layers.map((layer) => axis.defaultProjection(layer)),
      cos_pc1: layers.map((layer) => itemAt(axis.cos_pc1, layer)),
    },
  };
}

/**
 * Reads `*.cap.safetensors`.
 *
 * @throws CapstanError `not_found`, `bad_file`
 * @example
 * const caps = await readCaps("x.cap.safetensors");
 * generate(model, messages, { hooks: caps.hooks });
 */
export async function readCaps(input: FileInput): Promise<Caps> {
  const file = await TensorFile.read(input, "cap.safetensors", MADE_BY);
  file.expectFormat(FORMAT, 1, MADE_BY);
  file.checkContent();
  const [n] = file.shape("layers", 1) as [number];
  const d_model = file.json<number>("d_model", rules.whole(1));
  const data: CapsData = {
    model: file.json("model", MODEL),
    n_layers: file.json("n_layers", rules.whole(1)),
    d_model,
    layers: file.i32("layers", [n]),
    vectors: file.f32("vectors", [n, d_model]),
    floors: file.f32("floors", [n], true),
    ceilings: file.f32("ceilings", [n], true),
    percentile: file.json("percentile", rules.orNull(rules.number(0, 100))),
    of: file.json("of", rules.text),
    ...(file.hasMetadata("axis") ? { axis: file.json("axis", AXIS) } : {}),
  };
  checkCaps(data, `read ${file.name}`, "bad_file");
  return new Caps(data);
}

const AXIS = rules.having("the axis behind the caps", "digest", "target_layer", "roles", "made", "measured");
