import { itemAt } from "./certain.ts";
import type { ConfigReader } from "./config.ts";
import { frequencies, ROPE_TYPES, type RopeType, scaleRope } from "./rope_types.ts";
import type { RopeSpec } from "./spec.ts";

/** What a family's rope is where the config does not say, and the old names of its fields. */
export interface RopeDefaults {
  theta?: number;
  /** The part of a head that turns. */
  partial?: number;
  /** `max_position_embeddings` where config.json has none. */
  n_ctx?: number;
  /** The length before scaling, where it is not beside the sizes: then it counts before the rope's own field. */
  original?: number;
  theta_field?: string;
  partial_field?: string;
  /** Older names of a type, for this family alone. */
  aliases?: Record<string, RopeType>;
}

/**
 * The rotary table that a config.json asks for, in 5.x style (`rope_parameters`) or 4.x style
 * (`rope_theta` and `rope_scaling` with `rope_type` or `type`).
 *
 * @throws CapstanError `unsupported` naming a rope type this runtime does not compute
 */
export function readRope(config: ConfigReader, d_head: number, defaults: RopeDefaults = {}): RopeSpec {
  const modern = config.child("rope_parameters");
  return readRopeFrom(config, modern, modern ?? config.child("rope_scaling"), d_head, defaults);
}

/** A table for the layers that slide and one for the others. */
export interface LayeredRopes {
  full: RopeSpec;
  sliding: RopeSpec;
}

/**
 * Tables that differ by kind of layer: `rope_parameters` nested by it (5.x), or `rope_scaling` for the layers of
 * full attention alone (4.x).
 */
export function readLayeredRopes(
  config: ConfigReader,
  d_head: number,
  defaults: { full: RopeDefaults; sliding: RopeDefaults },
): LayeredRopes {
  const both = config.child("rope_parameters");
  const old = config.child("rope_scaling");
  const read = (kind: "full_attention" | "sliding_attention", given: RopeDefaults) => {
    const modern = both?.child(kind);
    const scaling = modern ?? (kind === "full_attention" ? old : undefined);
    return readRopeFrom(config, modern, scaling, d_head, given);
  };
  return {
    full: read("full_attention", defaults.full),
    sliding: read("sliding_attention", defaults.sliding),
  };
}

function readRopeFrom(
  config: ConfigReader,
  modern: ConfigReader | undefined,
  scaling: ConfigReader | undefined,
  d_head: number,
  defaults: RopeDefaults,
): RopeSpec {
  const { theta_field = "rope_theta", partial_field = "partial_rotary_factor" } = defaults;
  const theta = modern?.has("rope_theta")
    ? modern.positive("rope_theta")
    : config.positive(theta_field, defaults.theta ?? 10_000);
  const partial = modern?.has("partial_rotary_factor")
    ? modern.positive("partial_rotary_factor")
    : config.positive(partial_field, defaults.partial ?? 1);
  const d_rot = Math.floor(d_head * partial);
  if (d_rot % 2 !== 0 || d_rot > d_head || d_rot === 0) {
    config.refuse(partial_field, d_rot, `an even number of a head's ${d_head} dimensions`);
  }
  const type = scaling === undefined ? "default" : readType(scaling, defaults.aliases ?? {});
  const rope = scaleRope(type, scaling ?? config, {
    theta,
    d_rot,
    trained: config.length("max_position_embeddings", defaults.n_ctx ?? 2048),
    original: () => readOriginal(config, scaling, defaults),
  });
  const long = rope.beyond?.kind === "longrope" ? rope.beyond.inv_freq : [];
  const numbers = [...rope.inv_freq, ...long, rope.attention_factor];
  if (!numbers.every((x) => Number.isFinite(x))) {
    (scaling ?? config).refuse("rope_type", type, "a rope whose fields give finite frequencies");
  }
  return rope;
}

/** The length that a checkpoint was made for before it was scaled: beside its sizes, else where the scaling stands. */
function readOriginal(
  config: ConfigReader,
  scaling: ConfigReader | undefined,
  { n_ctx = 2048, original }: RopeDefaults,
): number {
  const field = "original_max_position_embeddings";
  if (config.has(field)) return config.positive(field);
  return original ?? (scaling ?? config).positive(field, config.length("max_position_embeddings", n_ctx));
}

function readType(scaling: ConfigReader, aliases: Record<string, RopeType>): RopeType {
  const field = scaling.has("rope_type") ? "rope_type" : "type";
  const type = scaling.oneOf(field, [...ROPE_TYPES, ...Object.keys(aliases)], "default");
  return aliases[type] ?? (type as RopeType);
}

/**
 * What the lengths of forward calls mean to a model's ropes, as transformers 5.23 has it (`dynamic_rope_update`, and
 * Phi-3's `prepare_inputs_for_generation` for the cache): every token of a call turns by the call's whole length, the
 * past counted. A call in chunks has one length.
 */
export interface RopeLengths {
  /**
   * A number for the tables of calls of a length; equal numbers mean equal tables. 0 up to the original length;
   * beyond it 1 with longrope's long factors, and the length itself where `dynamic` counts.
   */
  variant(length: number): number;
  /**
   * Whether keys that calls of length `from` cached must be computed again before a call of length `to`: where
   * longrope changes its factors they must; `dynamic` leaves them as they are.
   */
  recomputes(from: number, to: number): boolean;
}

/** The lengths that the ropes of a model depend on; null where they depend on none. */
export function ropeLengths(ropes: readonly RopeSpec[]): RopeLengths | null {
  const beyonds = ropes.flatMap(({ beyond }) => (beyond === undefined ? [] : [beyond]));
  if (beyonds.length === 0) return null;
  const longs = beyonds.filter(({ kind }) => kind === "longrope");
  const longFactors = (length: number) => longs.filter((beyond) => length > beyond.length).length;
  const isStretched = (length: number) =>
    beyonds.some((beyond) => beyond.kind === "dynamic" && length > beyond.length);
  return {
    variant: (length) => (isStretched(length) ? length : longFactors(length)),
    recomputes: (from, to) => longFactors(from) !== longFactors(to),
  };
}

/** A rope's frequencies in a call of a length, [d_rot / 2]. */
export function frequenciesAt({ d_rot, inv_freq, beyond }: RopeSpec, length: number): Float64Array {
  if (beyond === undefined || length <= beyond.length) return inv_freq;
  if (beyond.kind === "longrope") return beyond.inv_freq;
  // In float32 step by step, as the reference has it: there the length is a tensor.
  const { theta, factor } = beyond;
  const f32 = Math.fround;
  const stretch = f32(f32(f32(f32(factor) * length) / beyond.length) - f32(factor - 1));
  return frequencies(f32(theta * f32(stretch ** f32(d_rot / (d_rot - 2)))), d_rot);
}

/**
 * Rows [start, end) of a rope table: `cos` and `sin` [end - start, d_rot / 2].
 *
 * The angle is rounded to float32 as the reference's is (transformers multiplies in float32), its cosine
 * and sine are taken in f64: so that positions far out agree with the checkpoint's training and not only
 * with the mathematics.
 */
export function ropeRows(
  rope: RopeSpec,
  start: number,
  end: number,
): { cos: Float32Array; sin: Float32Array } {
  return rows(rope, start, end - start, () => rope.inv_freq);
}

/**
 * Rows of a rope that depends on length, one for each token of an entry of a step: the first stands at `position`, each
 * turns by the length of its own call. `cos` and `sin` [lengths.length, d_rot / 2].
 */
export function ropeRowsByLength(
  rope: RopeSpec,
  position: number,
  lengths: Int32Array,
): { cos: Float32Array; sin: Float32Array } {
  let inv_freq = rope.inv_freq;
  let of_length: number | undefined;
  return rows(rope, position, lengths.length, (token) => {
    const length = itemAt(lengths, token);
    if (length !== of_length) inv_freq = frequenciesAt(rope, length);
    of_length = length;
    return inv_freq;
  });
}

function rows(
  rope: RopeSpec,
  start: number,
  count: number,
  frequenciesOf: (row: number) => Float64Array,
): { cos: Float32Array; sin: Float32Array } {
  const half = rope.d_rot / 2;
  const cos = new Float32Array(count * half);
  const sin = new Float32Array(count * half);
  for (let row = 0, at = 0; row < count; row++) {
    const inv_freq = frequenciesOf(row);
    for (let j = 0; j < half; j++, at++) {
      const angle = Math.fround((start + row) * inv_freq[j]!);
      cos[at] = Math.cos(angle) * rope.attention_factor;
      sin[at] = Math.sin(angle) * rope.attention_factor;
    }
  }
  return { cos, sin };
}
