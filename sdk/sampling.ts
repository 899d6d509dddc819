import { CapstanError, type SampleParams, show } from "../models/index.ts";
import { randomSeed } from "./platform/random.ts";
import { isWithin, rangeText, SAMPLING_RANGES } from "./sampling_ranges.ts";
import type { GenerateOptions, Model } from "./types.ts";

/** The parts of `SampleParams` that stay the same over a reply. */
export type Sampling = Omit<SampleParams, "history" | "n_prompt" | "draw">;

/**
 * Sampling parameters of a reply, checked: the caller's, else the model's generation_config.json, else the
 * plain distribution.
 *
 * @throws CapstanError `bad_request` naming the option, what it needs and what it found
 */
export function readSampling(model: Model, options: GenerateOptions): Sampling {
  const given = { ...model.defaults, ...options };
  return {
    temperature: within("temperature", given.temperature ?? 1),
    top_k: within("top_k", given.top_k ?? 0),
    top_p: within("top_p", given.top_p ?? 1),
    min_p: within("min_p", given.min_p ?? 0),
    repetition_penalty: within("repetition_penalty", given.repetition_penalty ?? 1),
    frequency_penalty: within("frequency_penalty", given.frequency_penalty ?? 0),
    presence_penalty: within("presence_penalty", given.presence_penalty ?? 0),
    logit_bias: readBias(model, given.logit_bias ?? {}),
    seed: seedWords(given.seed),
    top_logprobs: readLogprobs(given.logprobs),
  };
}

/** Whether the draw depends on the tokens so far. */
export function needsHistory(sampling: Sampling): boolean {
  const { repetition_penalty, frequency_penalty, presence_penalty } = sampling;
  return repetition_penalty !== 1 || frequency_penalty !== 0 || presence_penalty !== 0;
}

/** A bias that forbids a token on every device; -Infinity is read as this. */
const FORBIDS = -1e30;

function readBias(model: Model, given: Record<number, number>): { id: number; bias: number }[] {
  const { d_vocab } = model.spec;
  const biases = Object.entries(given).map(([key, value]) => {
    const id = /^\d+$/.test(key) ? Number(key) : -1;
    if (id < 0 || id >= d_vocab) throw wrong("logit_bias", `by token ids from 0 to ${d_vocab - 1}`, key);
    if (typeof value !== "number" || Number.isNaN(value) || value === Number.POSITIVE_INFINITY) {
      throw wrong("logit_bias", "numbers", value);
    }
    return { id, bias: Math.max(value, FORBIDS) };
  });
  const n_forbidden = biases.filter(({ bias }) => bias === FORBIDS).length;
  if (n_forbidden === d_vocab)
    throw wrong("logit_bias", "such that a token is left", "all of them forbidden");
  return biases;
}

function seedWords(seed: number | undefined): [number, number] {
  const value = seed ?? randomSeed();
  if (!Number.isSafeInteger(value) || value < 0)
    throw wrong("seed", "a whole number from 0 to 2^53 - 1", value);
  return [value % 2 ** 32, Math.floor(value / 2 ** 32)];
}

function readLogprobs(logprobs: boolean | number | undefined): number {
  if (logprobs === undefined || logprobs === false) return -1;
  return logprobs === true ? 0 : whole("logprobs", logprobs, 0, 100);
}

function whole(name: string, value: number, min: number, max = 2 ** 31 - 1): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw wrong(name, `a whole number from ${min}${max < 2 ** 31 - 1 ? ` to ${max}` : ""}`, value);
}

function within(name: keyof typeof SAMPLING_RANGES, value: number): number {
  const range = SAMPLING_RANGES[name];
  if (isWithin(value, range)) return value;
  throw wrong(name, rangeText(range), value);
}

function wrong(name: string, need: string, found: unknown): CapstanError {
  const text = typeof found === "number" ? String(found) : show(found);
  return new CapstanError("bad_request", { action: "generate", need: `${name} to be ${need}`, found: text });
}
