import { itemAt } from "./certain.ts";
import type { ConfigReader } from "./config.ts";
import type { RopeSpec } from "./spec.ts";

/** What a config's `rope_type` may say. */
export const ROPE_TYPES = ["default", "linear", "dynamic", "yarn", "longrope", "llama3"] as const;
export type RopeType = (typeof ROPE_TYPES)[number];

/** What every type starts from. */
interface Base {
  theta: number;
  d_rot: number;
  /** The context that the checkpoint is made for, and the one before scaling, read where a type asks. */
  trained: number;
  original: () => number;
}

/** A table of one type, as transformers 5.23 computes it (modeling_rope_utils.py), in its precision. */
export function scaleRope(type: RopeType, scaling: ConfigReader, base: Base): RopeSpec {
  const { d_rot } = base;
  const plain = frequencies(base.theta, d_rot);
  switch (type) {
    case "default":
      return { d_rot, inv_freq: plain, attention_factor: 1 };
    case "linear": {
      const factor = scaling.positive("factor");
      const inv_freq = plain.map((freq) => Math.fround(freq / factor));
      return { d_rot, inv_freq, attention_factor: 1, scaled_n_ctx: base.trained * factor };
    }
    case "dynamic":
      return dynamic(scaling, base, plain);
    case "llama3":
      return scaleLlama3(scaling, base, plain);
    case "yarn":
      return yarn(scaling, base, plain);
    case "longrope":
      return longrope(scaling, base, plain);
    default:
      return type satisfies never;
  }
}

/** Without scaling, [d_rot / 2]. */
export function frequencies(theta: number, d_rot: number): Float64Array {
  return Float64Array.from({ length: d_rot / 2 }, (_, j) => Math.fround(theta ** ((-2 * j) / d_rot)));
}

/** NTK by length: as trained up to `max_position_embeddings`, a theta that grows with the call beyond it. */
function dynamic(
  scaling: ConfigReader,
  { theta, d_rot, trained: length }: Base,
  plain: Float64Array,
): RopeSpec {
  const factor = scaling.positive("factor");
  if (d_rot === 2)
    scaling.refuse("rope_type", "dynamic", "another rope for heads of which two dimensions turn");
  const beyond = { kind: "dynamic", length, theta, factor } as const;
  return { d_rot, inv_freq: plain, attention_factor: 1, scaled_n_ctx: length * factor, beyond };
}

/** Llama 3.1's rule: long waves are slowed by `factor`, short ones kept, those between blended. */
function scaleLlama3(scaling: ConfigReader, { d_rot, ...base }: Base, plain: Float64Array): RopeSpec {
  const factor = scaling.positive("factor");
  const low = scaling.positive("low_freq_factor");
  const high = scaling.positive("high_freq_factor");
  const original = base.original();
  const inv_freq = plain.map((freq) => {
    const turns = (original * freq) / (2 * Math.PI);
    const blend = Math.min(1, Math.max(0, (turns - low) / (high - low)));
    return Math.fround((1 - blend) * (freq / factor) + blend * freq);
  });
  return { d_rot, inv_freq, attention_factor: 1, scaled_n_ctx: original * factor };
}

/** YaRN (arXiv 2309.00071): slow waves are interpolated, fast ones kept, with a ramp over dimensions between. */
function yarn(scaling: ConfigReader, { theta, d_rot, ...base }: Base, plain: Float64Array): RopeSpec {
  const original = base.original();
  const factor = scaling.positive("factor", base.trained / original);
  // The dimension whose wave turns that often over the original length.
  const dimOf = (turns: number) =>
    (d_rot * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const whole = scaling.bool("truncate", true);
  const first = dimOf(scaling.positive("beta_fast", 32));
  const last = dimOf(scaling.positive("beta_slow", 1));
  const low = Math.max(whole ? Math.floor(first) : first, 0);
  const high = Math.min(whole ? Math.ceil(last) : last, d_rot - 1);
  const width = low === high ? 0.001 : high - low;
  const inv_freq = plain.map((freq, j) => {
    const slow = Math.min(1, Math.max(0, (j - low) / width));
    return Math.fround((freq / factor) * slow + freq * (1 - slow));
  });
  const attention_factor = yarnAttention(scaling, factor);
  return { d_rot, inv_freq, attention_factor, scaled_n_ctx: original * factor };
}

function yarnAttention(scaling: ConfigReader, factor: number): number {
  if (scaling.has("attention_factor")) return scaling.positive("attention_factor");
  const scale = (mscale: number) => (factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1);
  const [mscale, all] = [scaling.number("mscale", 0), scaling.number("mscale_all_dim", 0)];
  return mscale !== 0 && all !== 0 ? scale(mscale) / scale(all) : scale(1);
}

/** LongRoPE (arXiv 2402.13753): a factor for each wave, one list for the original length and one beyond it. */
function longrope(scaling: ConfigReader, { d_rot, ...base }: Base, plain: Float64Array): RopeSpec {
  const length = base.original();
  const factor = scaling.positive("factor", base.trained / length);
  const by = (name: "long_factor" | "short_factor") => {
    const factors = scaling.numbers(name, d_rot / 2);
    return plain.map((freq, j) => Math.fround(freq / itemAt(factors, j)));
  };
  const [long, short] = [by("long_factor"), by("short_factor")];
  const own = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(length));
  return {
    d_rot,
    inv_freq: short,
    attention_factor: scaling.positive("attention_factor", own),
    scaled_n_ctx: length * factor,
    beyond: { kind: "longrope", length, inv_freq: long },
  };
}
