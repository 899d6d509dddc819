import { z } from "@hono/zod-openapi";
import type { GenerateOptions, Model } from "../../sdk/types.ts";
import { badRequest } from "../errors.ts";
import { CAPSTAN_REQUEST } from "./capstan.ts";

/** Fields that every generating endpoint has, and what the engine makes of them. */

const some_text = z.string().min(1);
const text_or_texts = z.union([some_text, z.array(some_text).max(16)]);

/** Sampling as OpenAI has it, and what vLLM and others have beside it. null means absent. */
export const SAMPLING = {
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_k: z.int().min(-1).nullish().openapi({ description: "0 and -1 are all. Not of OpenAI." }),
  min_p: z.number().min(0).max(1).nullish().openapi({ description: "Not of OpenAI." }),
  repetition_penalty: z.number().min(0.001).max(1000).nullish().openapi({ description: "Not of OpenAI." }),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  logit_bias: z.record(z.string().regex(/^\d{1,9}$/), z.number().min(-100).max(100)).nullish(),
  seed: z.int().nullish(),
  stop: text_or_texts.nullish(),
  stop_token_ids: z.array(z.int().min(0)).max(64).nullish().openapi({ description: "Not of OpenAI." }),
  n: z.int().min(1).max(128).nullish(),
} as const;

export const STREAM = {
  stream: z.boolean().nullish(),
  stream_options: z
    .object({ include_usage: z.boolean().nullish(), include_obfuscation: z.boolean().nullish() })
    .nullish(),
} as const;

/** Fields that change nothing here: who asks, what is kept (nothing), how it is billed. */
export const WITHOUT_EFFECT = {
  user: z.string().nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  store: z.boolean().nullish(),
  service_tier: z.string().nullish(),
  safety_identifier: z.string().nullish(),
  prompt_cache_key: z.string().nullish(),
  prompt_cache_retention: z.string().nullish(),
} as const;

export const EXTENSION = { capstan: CAPSTAN_REQUEST.nullish() } as const;

type Sampling = { [Name in keyof typeof SAMPLING]?: z.output<(typeof SAMPLING)[Name]> };

/** @throws ApiError 400 for ids that are not the model's */
export function checkTokenIds({ spec }: Pick<Model, "spec">, ids: Iterable<number>, param: string): void {
  const last = spec.d_vocab - 1;
  for (const id of ids) {
    if (id <= last) continue;
    throw badRequest(`'${param}' must hold token ids of 0 to ${last}, not ${id}.`, param, "invalid_value");
  }
}

/**
 * The options of `generate`, for the reply of number `index`.
 *
 * @throws ApiError 400 for what is not the model's
 */
export function samplingOptions(model: Model, request: Sampling, index: number): GenerateOptions {
  checkTokenIds(model, request.stop_token_ids ?? [], "stop_token_ids");
  checkTokenIds(model, Object.keys(request.logit_bias ?? {}).map(Number), "logit_bias");
  const { n: _, top_k, seed, logit_bias, ...rest } = request;
  const given: GenerateOptions = {};
  const names = [
    "temperature",
    "top_p",
    "min_p",
    "repetition_penalty",
    "frequency_penalty",
    "presence_penalty",
    "stop",
    "stop_token_ids",
  ] as const;
  for (const name of names) {
    const value = rest[name] ?? undefined;
    if (value !== undefined) Object.assign(given, { [name]: value });
  }
  if (typeof top_k === "number") given.top_k = Math.max(0, top_k);
  if (logit_bias)
    given.logit_bias = Object.fromEntries(Object.entries(logit_bias).map(([id, bias]) => [Number(id), bias]));
  // Seeds of OpenAI may be below 0; each reply to one request has a seed of its own.
  if (typeof seed === "number")
    given.seed = ((seed < 0 ? seed + 2 ** 53 : seed) + index) % Number.MAX_SAFE_INTEGER;
  return given;
}

/** `response_format`: text alone, until the engine can constrain what it writes. */
export const RESPONSE_FORMAT = z.looseObject({ type: z.string() }).nullish();

export function checkResponseFormat(format: { type: string } | null | undefined, param: string): void {
  if (!format || format.type === "text") return;
  if (format.type !== "json_object" && format.type !== "json_schema")
    throw badRequest(`Unknown format type ${JSON.stringify(format.type.slice(0, 40))}.`, `${param}.type`);
  const message = `${param} of type "${format.type}" is not supported: this engine does not constrain its output yet. Only "text" is.`;
  throw badRequest(message, param, "unsupported_value");
}
