import { itemAt } from "../../../models/certain.ts";
import { CapstanError, type Hook, show } from "../../../models/index.ts";
import * as rules from "../../common/options.ts";
import { type Rules, readOptions } from "../../common/options.ts";
import { writeFileAtomic } from "../../platform/index.ts";
import { checkLayer, checkPercentile, type LayerRange, layersOf, residPost } from "../layers.ts";
import { percentileOfSorted } from "../numbers/stats.ts";
import { dot, meanOf, norm, row, subtract, unit, type Vector } from "../numbers/vectors.ts";
import { type FileInput, TensorFile } from "../tensor_file.ts";
import { AXIS_MADE_BY, type AxisData, axisDigest, decodeAxis, encodeAxis } from "./axis_file.ts";
import type { LeftOut } from "./scored_roles.ts";

/** A role as a point of persona space at one layer. */
export interface RolePoint {
  role: string;
  group: string | undefined;
  /** Of the role's mean activation on the unit axis. */
  projection: number;
  /** In the principal components. */
  coordinates: number[];
}

const PROBES: Rules<{ layers?: readonly number[] | LayerRange }> = {
  layers: rules.anyOf(rules.list, rules.record),
};

/**
 * The Assistant axis of a model: per layer, the mean activation of the Assistant less the mean of the roles'
 * (paper, section 3.1). Positive is Assistant. Made by `fit`, read by `readAxis`.
 */
export class Axis {
  /** Everything that `axis.safetensors` keeps. */
  readonly data: AxisData;
  /** Sorted projections of all responses by layer, made when first asked for. */
  readonly #sorted: (Float32Array | undefined)[] = [];
  #digest: string | undefined;

  constructor(data: AxisData) {
    this.data = data;
  }

  /** The model it was fitted on. */
  get model(): AxisData["model"] {
    return this.data.model;
  }

  /** Of all that it holds: what its file has as `content_digest`, and its caps say they were made of. */
  get digest(): string {
    this.#digest ??= axisDigest(this.data);
    return this.#digest;
  }

  /** How that model's weights were stored when the responses were made. */
  get dtype(): string {
    return this.data.made.dtype;
  }

  /** Layers of that model. */
  get n_layers(): number {
    return this.data.n_layers;
  }

  /** Length of its vectors, and of the residual stream. */
  get d_model(): number {
    return this.data.d_model;
  }

  /** Layers that were collected, ascending: only of these there is an axis. */
  get layers(): readonly number[] {
    return this.data.layers;
  }

  /** The layer where projections are read unless another is named. */
  get target_layer(): number {
    return this.data.target_layer;
  }

  /** Names of the roles behind it, in the order of their vectors. */
  get roles(): readonly string[] {
    return this.data.roles.names;
  }

  /** Roles that have no part in it, and why, in alphabetical order. */
  get left_out(): readonly (LeftOut & { role: string })[] {
    return Object.entries(this.data.roles.left_out).map(([role, left]) => ({ role, ...left }));
  }

  /** |cos| of the first principal component with the axis, by layer. */
  get cos_pc1(): readonly number[] {
    return this.data.cos_pc1;
  }

  /** Principal components that explain 70 % of the variance of the role vectors, by layer. */
  get dims70(): readonly number[] {
    return this.data.dims70;
  }

  /** Share of variance of each principal component at a layer. */
  explained(layer: number): Float32Array {
    const { data, width } = this.data.pca.explained;
    return row(data, this.#layer(layer), width);
  }

  /** The axis at a layer as it was measured, [d_model]: its length is the distance Assistant to roles. */
  layer(layer: number): Float32Array {
    return row(this.data.axis, this.#layer(layer), this.d_model);
  }

  /** The axis at a layer at unit length, [d_model]. */
  direction(layer: number): Float32Array {
    return Float32Array.from(unit(this.layer(layer)));
  }

  /** Percentile p (0 to 100) of the projections of all collected responses at a layer. */
  percentile(layer: number, p: number): number {
    const at = this.#layer(layer);
    this.#sorted[at] ??= this.#projections(at).sort();
    return percentileOfSorted(this.#sorted[at], checkPercentile(p, "read the axis"));
  }

  /** Projection of any activation [d_model] on the unit axis. */
  projectionOf(activation: Vector, layer: number): number {
    return dot(activation, this.layer(layer)) / norm(this.layer(layer));
  }

  /** Projection of the mean Assistant response. */
  defaultProjection(layer: number): number {
    return this.projectionOf(row(this.data.default, this.#layer(layer), this.d_model), layer);
  }

  /** The roles in persona space at a layer, farthest from the Assistant first. */
  points(layer: number): RolePoint[] {
    const rows = this.#roleVectors(layer);
    const coordinates = this.#coordinates(rows, layer);
    const points = this.roles.map((role, i) => {
      const projection = this.projectionOf(itemAt(rows, i), layer);
      return { role, group: this.data.roles.groups[role], projection, coordinates: itemAt(coordinates, i) };
    });
    return points.sort((a, b) => a.projection - b.projection);
  }

  /** The Assistant's coordinates in the principal components at a layer. */
  defaultCoordinates(layer: number): number[] {
    const assistant = row(this.data.default, this.#layer(layer), this.d_model);
    return itemAt(this.#coordinates(this.#roleVectors(layer), layer, [assistant]), 0);
  }

  /** Hooks that stream the projection of each token, named `axis.{layer}`. Default: the target layer's. */
  probes(given: { layers?: readonly number[] | LayerRange } = {}): Hook[] {
    const { layers = [this.target_layer] } = readOptions("probe", given, PROBES);
    const chosen = "start" in layers ? layersOf(layers, this.n_layers, "probe") : layers;
    return chosen.map((layer) => {
      return {
        kind: "project",
        site: residPost(layer),
        vector: this.direction(layer),
        name: `axis.${layer}`,
      };
    });
  }

  /** The axis as a safetensors file. */
  toBytes(): Uint8Array {
    return encodeAxis(this.data);
  }

  /** Writes `axis.safetensors`, whole or not at all. */
  async save(path: string): Promise<void> {
    await writeFileAtomic(path, this.toBytes());
  }

  #layer(layer: number): number {
    return checkLayer(layer, this.n_layers, "read the axis", this.layers);
  }

  #projections(layer: number): Float32Array {
    const { data } = this.data.responses.projections;
    return Float32Array.from(
      { length: data.length / this.n_layers },
      (_, i) => data[i * this.n_layers + layer]!,
    );
  }

  #roleVectors(layer: number): Float32Array[] {
    const size = this.n_layers * this.d_model;
    return this.roles.map((_, i) => row(row(this.data.roles.vectors, i, size), layer, this.d_model));
  }

  /** Coordinates of `vectors` (the role vectors themselves by default) as `fit` centred and scaled them. */
  #coordinates(rows: readonly Vector[], layer: number, vectors: readonly Vector[] = rows): number[][] {
    const { mean, components, n_components, scale_unit } = this.data.pca;
    const centre = row(mean, layer, this.d_model);
    const offset = scale_unit ? meanOf(rows.map((vector) => unit(subtract(vector, centre)))) : null;
    const own = row(components, layer, n_components * this.d_model);
    return vectors.map((vector) => {
      const centred = subtract(vector, centre);
      const point = offset === null ? centred : subtract(unit(centred), offset);
      return Array.from({ length: n_components }, (_, k) => dot(point, row(own, k, this.d_model)));
    });
  }
}

/**
 * Reads `axis.safetensors`.
 *
 * @throws CapstanError `not_found`, `bad_file`
 * @example
 * const axis = await readAxis("axis.safetensors");
 * generate(model, messages, { hooks: axis.probes() });
 */
export async function readAxis(input: FileInput): Promise<Axis> {
  return new Axis(decodeAxis(await TensorFile.read(input, "axis.safetensors", AXIS_MADE_BY)));
}

/** What a file of the experiment says of the model it was made on. */
export interface MadeOn {
  model: { id: string; digest: string };
  n_layers: number;
  d_model: number;
}

/**
 * Checks an axis or caps against a model. Another shape throws `bad_file`; another digest gives a warning to
 * show, since it may be the same model in another precision, or one tuned from it.
 * @example
 * for (const warning of checkFits(model, axis, "axis")) console.warn(warning);
 */
export function checkFits(
  model: { id: string; digest: string; spec: { n_layers: number; d_model: number } },
  file: MadeOn,
  what: string,
): string[] {
  const { n_layers, d_model } = model.spec;
  if (file.n_layers !== n_layers || file.d_model !== d_model) {
    throw new CapstanError("bad_file", {
      action: `use the ${what} on ${model.id}`,
      need: `one of ${n_layers} layers and d_model ${d_model}`,
      found: `${file.n_layers} layers and d_model ${file.d_model}, made on ${show(file.model.id)}`,
    });
  }
  if (file.model.digest === model.digest) return [];
  return [
    `the ${what} was made on ${file.model.id} (${file.model.digest}), not on ${model.id} (${model.digest})`,
  ];
}

/**
 * Compares how a model stores its weights with how they were stored when an axis or caps were measured: a floor that was
 * measured on q8 is another one on bf16. Gives a warning to show where they differ.
 * @example
 * for (const warning of checkDtype(model, axis)) console.warn(warning);
 */
export function checkDtype(
  model: { id: string; device: { dtype: string } },
  file: { dtype?: string | undefined },
): string[] {
  const { dtype } = model.device;
  if (file.dtype === undefined || file.dtype === dtype) return [];
  return [
    `the axis was measured with weights in ${file.dtype}, and ${model.id} runs in ${dtype}: projections and floors are not ` +
      `quite the same. dtype ${file.dtype} (--dtype ${file.dtype}) makes them alike`,
  ];
}
