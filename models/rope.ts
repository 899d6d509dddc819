import type { ConfigReader } from "./config.ts";
import type { RopeSpec } from "./spec.ts";

/** What a family's rope is where the config does not say, and the old names of its fields. */
export interface RopeDefaults {
  theta?: number;
  /** The part of a head that turns. */
  partial?: number;
  theta_field?: string;
  partial_field?: string;
}

/**
 * The rotary table that a config.json asks for, in 5.x style (`rope_parameters`) or 4.x style
 * (`rope_theta` and `rope_scaling` with `rope_type` or `type`).
 *
 * @throws CapstanError `unsupported` naming a rope type this runtime does not compute
 */
export function readRope(config: ConfigReader, d_head: number, defaults: RopeDefaults = {}): RopeSpec {
  const { theta_field = "rope_theta", partial_field = "partial_rotary_factor" } = defaults;
  const modern = config.child("rope_parameters");
  const scaling = modern ?? config.child("rope_scaling");
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
  const inv_freq = Float64Array.from({ length: d_rot / 2 }, (_, j) =>
    Math.fround(theta ** ((-2 * j) / d_rot)),
  );
  if (scaling !== undefined) scaleFrequencies(scaling, inv_freq);
  return { d_rot, inv_freq, attention_factor: 1 };
}

function scaleFrequencies(scaling: ConfigReader, inv_freq: Float64Array): void {
  const field = scaling.has("rope_type") ? "rope_type" : "type";
  switch (scaling.oneOf(field, ["default", "linear", "llama3"] as const, "default")) {
    case "default":
      return;
    case "linear": {
      const factor = scaling.positive("factor");
      for (let j = 0; j < inv_freq.length; j++) inv_freq[j] = Math.fround(inv_freq[j]! / factor);
      return;
    }
    case "llama3":
      scaleLlama3(scaling, inv_freq);
      return;
  }
}

/** Llama 3.1's rule: long waves are slowed by `factor`, short ones kept, those between blended. */
function scaleLlama3(scaling: ConfigReader, inv_freq: Float64Array): void {
  const factor = scaling.positive("factor");
  const low = scaling.positive("low_freq_factor");
  const high = scaling.positive("high_freq_factor");
  const original = scaling.positive("original_max_position_embeddings");
  for (let j = 0; j < inv_freq.length; j++) {
    const freq = inv_freq[j]!;
    const turns = (original * freq) / (2 * Math.PI);
    const blend = Math.min(1, Math.max(0, (turns - low) / (high - low)));
    inv_freq[j] = Math.fround((1 - blend) * (freq / factor) + blend * freq);
  }
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
