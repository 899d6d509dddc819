import { itemAt } from "../../../models/certain.ts";
import { hashSeed, randomDirection } from "../numbers/random.ts";
import { percentileOfSorted } from "../numbers/stats.ts";
import { dot, norm, row, type Vector } from "../numbers/vectors.ts";
import type { AxisData } from "./axis_file.ts";

/**
 * The control of a cap is the same cap on a random direction: as long as the axis, and at the same percentile
 * of the same responses. For that `fit` measures the responses on a few seeded random directions while it has
 * their activations, and keeps the percentiles.
 */
export class ControlProjections {
  readonly #seed: number;
  readonly #n: number;
  readonly #n_layers: number;
  readonly #d_model: number;
  readonly #directions: Float32Array;
  /** Of control c and layer l, at c * n_layers + l: one value a response. */
  readonly #values: Float32Array[];
  readonly #lengths: number[];

  /** @param axis [n_layers, d_model] */
  constructor(
    axis: Float32Array,
    n_responses: number,
    { n_layers, d_model }: { n_layers: number; d_model: number },
    { n, seed }: { n: number; seed: number },
  ) {
    this.#seed = seed;
    this.#n = n;
    this.#n_layers = n_layers;
    this.#d_model = d_model;
    this.#directions = new Float32Array(n * n_layers * d_model);
    this.#lengths = Array.from({ length: n_layers }, (_, layer) => norm(row(axis, layer, d_model)));
    for (let at = 0; at < n * n_layers; at++) {
      const [control, layer] = [Math.floor(at / n_layers), at % n_layers];
      const direction = randomDirection(hashSeed(seed, `control ${control} layer ${layer}`), d_model);
      const length = itemAt(this.#lengths, layer);
      this.#directions.set(
        direction.map((x) => x * length),
        at * d_model,
      );
    }
    this.#values = Array.from({ length: n * n_layers }, () => new Float32Array(n_responses));
  }

  /** Takes in the activation [d_model] of response `index` at a layer. */
  add(index: number, layer: number, activation: Vector): void {
    for (let control = 0; control < this.#n; control++) {
      const at = control * this.#n_layers + layer;
      const direction = row(this.#directions, at, this.#d_model);
      itemAt(this.#values, at)[index] = dot(activation, direction) / itemAt(this.#lengths, layer);
    }
  }

  finish(): AxisData["controls"] {
    const percentiles = new Float32Array(this.#values.length * 101);
    for (const [at, values] of this.#values.entries()) {
      values.sort();
      for (let p = 0; p <= 100; p++) percentiles[at * 101 + p] = percentileOfSorted(values, p);
    }
    return { seed: this.#seed, directions: this.#directions, percentiles, n: this.#n };
  }
}
