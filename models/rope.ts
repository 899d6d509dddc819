import type { ConfigReader } from "./config.ts";
import { ROPE_TYPES, type RopeType, scaleRope } from "./rope_types.ts";
import type { RopeSpec } from "./spec.ts";

/** What a family's rope is where the config does not say, and the old names of its fields. */
export interface RopeDefaults {
  theta?: number;
  /** The part of a head that turns. */
  partial?: number;
  theta_field?: string;
  partial_field?: string;
  /** Older names of a type, for this family alone. */
  aliases?: Record<string, RopeType>;
}

/**
 * The rotary table that a config.json asks for, in 5.x style (`rope_parameters`) or 4.x style
 * (`rope_theta` and `rope_scaling` with `rope_type` or `type`).
 *
 * Two types depend on how long the text is. transformers looks at each call's length, and when it passes a border
 * turns all positions anew, cached keys included; here the context that the model is loaded with decides, once, so
 * that a cached key stays what it is. `longrope`: its long factors when that context is longer than the original.
 * `dynamic`: the frequencies for that context, and none of it up to `max_position_embeddings`. So a model loaded
 * with `n_ctx` equals transformers on texts of that length.
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
  const rope = scaleRope(type, scaling ?? config, { theta, d_rot, config });
  const numbers = [...rope.inv_freq, rope.attention_factor];
  if (!numbers.every((x) => Number.isFinite(x))) {
    (scaling ?? config).refuse("rope_type", type, "a rope whose fields give finite frequencies");
  }
  return rope;
}

function readType(scaling: ConfigReader, aliases: Record<string, RopeType>): RopeType {
  const field = scaling.has("rope_type") ? "rope_type" : "type";
  const type = scaling.oneOf(field, [...ROPE_TYPES, ...Object.keys(aliases)], "default");
  return aliases[type] ?? (type as RopeType);
}

/** Longest context of a checkpoint: `dynamic` rope goes beyond what was trained, where that is wanted. */
export function longestContext(config: ConfigReader, trained: number): number {
  const scaling = config.child("rope_parameters") ?? config.child("rope_scaling");
  const type = scaling?.raw.rope_type ?? scaling?.raw.type;
  if (scaling === undefined || type !== "dynamic" || config.wanted_n_ctx === undefined) return trained;
  const most = Math.floor(trained * scaling.positive("factor"));
  return Math.max(trained, Math.min(most, config.wanted_n_ctx));
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
  const half = rope.d_rot / 2;
  const cos = new Float32Array((end - start) * half);
  const sin = new Float32Array((end - start) * half);
  for (let position = start, at = 0; position < end; position++) {
    for (let j = 0; j < half; j++, at++) {
      const angle = Math.fround(position * rope.inv_freq[j]!);
      cos[at] = Math.cos(angle) * rope.attention_factor;
      sin[at] = Math.sin(angle) * rope.attention_factor;
    }
  }
  return { cos, sin };
}
