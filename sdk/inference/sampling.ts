import { CapstanError, type SampleParams, show } from "../../models/index.ts";
import { randomSeed } from "../platform/random.ts";
import type { GenerateOptions, Model } from "../types.ts";

/** The parts of `SampleParams` that stay the same over a reply. */
export type Sampling = Omit<SampleParams, "history" | "n_prompt" | "draw">;

/**
 * Sampling parameters of a reply: the caller's (each checked by `SAMPLING_RULES` before), else the model's
 * generation_config.json, else the plain distribution.
 *
 * @throws CapstanError `bad_request` for a bias of no token, or one that leaves none
 */
export function readSampling(model: Model, options: GenerateOptions): Sampling {
  const given = { ...model.defaults, ...options };
  return {
    temperature: given.temperature ?? 1,
    top_k: given.top_k ?? 0,
    top_p: given.top_p ?? 1,
    min_p: given.min_p ?? 0,
    repetition_penalty: given.repetition_penalty ?? 1,
    frequency_penalty: given.frequency_penalty ?? 0,
    presence_penalty: given.presence_penalty ?? 0,
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
    const id = /^(0|[1-9]\d*)$/.test(key) ? Number(key) : -1;
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
  return [value % 2 ** 32, Math.floor(value / 2 ** 32)];
}

function readLogprobs(logprobs: boolean | number | undefined): number {
  if (logprobs === undefined || logprobs === false) return -1;
  return logprobs === true ? 0 : logprobs;
}

function wrong(name: string, need: string, found: unknown): CapstanError {
  const text = typeof found === "number" ? String(found) : show(found);
  return new CapstanError("bad_request", { action: "generate", need: `${name} to be ${need}`, found: text });
}
