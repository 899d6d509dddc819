import type { ConfigReader } from "./config.ts";
import type { RopeSpec } from "./spec.ts";

/** What a config's `rope_type` may say. */
export const ROPE_TYPES = ["default", "linear", "dynamic", "yarn", "longrope", "llama3"] as const;
export type RopeType = (typeof ROPE_TYPES)[number];

/** What every type starts from. */
interface Base {
  theta: number;
  d_rot: number;
  /** The whole config, for the lengths that stand outside the scaling. */
  config: ConfigReader;
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
      return { d_rot, inv_freq, attention_factor: 1, scaled_n_ctx: trainedContext(base.config) * factor };
    }
    case "dynamic": {
      const scaled_n_ctx = trainedContext(base.config) * scaling.positive("factor");
      const inv_freq = frequencies(stretched(scaling, base), d_rot);
      return { d_rot, inv_freq, attention_factor: 1, scaled_n_ctx };
    }
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

function frequencies(theta: number, d_rot: number): Float64Array {
  return Float64Array.from({ length: d_rot / 2 }, (_, j) => Math.fround(theta ** ((-2 * j) / d_rot)));
}

function trainedContext(config: ConfigReader): number {
  return config.int("max_position_embeddings", 2048);
}

/** The length before scaling: beside the rope's own fields in some configs, and then that one counts. */
function originalContext(scaling: ConfigReader, config: ConfigReader): number {
  const field = "original_max_position_embeddings";
  if (config.has(field)) return config.positive(field);
  return scaling.positive(field, trainedContext(config));
}

/** `dynamic`: a theta that grows with the context beyond what was trained. */
function stretched(scaling: ConfigReader, { theta, d_rot, config }: Base): number {
  const factor = scaling.positive("factor");
  const trained = trainedContext(config);
  const n_ctx = Math.max(config.wanted_n_ctx ?? trained, trained);
  return theta * ((factor * n_ctx) / trained - (factor - 1)) ** (d_rot / (d_rot - 2));
}

/** Llama 3.1's rule: long waves are slowed by `factor`, short ones kept, those between blended. */
function scaleLlama3(scaling: ConfigReader, { d_rot, config }: Base, plain: Float64Array): RopeSpec {
  const factor = scaling.positive("factor");
  const low = scaling.positive("low_freq_factor");
  const high = scaling.positive("high_freq_factor");
  const original = originalContext(scaling, config);
  const inv_freq = plain.map((freq) => {
    const turns = (original * freq) / (2 * Math.PI);
    const blend = Math.min(1, Math.max(0, (turns - low) / (high - low)));
    return Math.fround((1 - blend) * (freq / factor) + blend * freq);
  });
  return { d_rot, inv_freq, attention_factor: 1, scaled_n_ctx: original * factor };
}

/** YaRN (arXiv 2309.00071): slow waves are interpolated, fast ones kept, with a ramp over dimensions between. */
function yarn(scaling: ConfigReader, { theta, d_rot, config }: Base, plain: Float64Array): RopeSpec {
  const original = originalContext(scaling, config);
  const factor = scaling.positive("factor", trainedContext(config) / original);
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
function longrope(scaling: ConfigReader, { d_rot, config }: Base, plain: Float64Array): RopeSpec {
  const original = originalContext(scaling, config);
  const trained = trainedContext(config);
  const factor = scaling.positive("factor", trained / original);
  const is_long = (config.wanted_n_ctx ?? trained) > original;
  const [long, short] = ["long_factor", "short_factor"].map((name) => scaling.numbers(name, d_rot / 2));
  const factors = is_long ? long! : short!;
  const own = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
  const attention_factor = scaling.positive("attention_factor", own);
  const inv_freq = plain.map((freq, j) => Math.fround(freq / factors[j]!));
  return { d_rot, inv_freq, attention_factor, scaled_n_ctx: original * factor };
}
