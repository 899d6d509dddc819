import { z } from "@hono/zod-openapi";
import { CAPSTAN_RESPONSE } from "./capstan.ts";
import { FINISH_REASON, USAGE } from "./chat.ts";
import { EXTENSION, RESPONSE_FORMAT, SAMPLING, STREAM, WITHOUT_EFFECT } from "./sampling.ts";

/** `POST /v1/completions` and `POST /v1/embeddings`, as OpenAI has them. */

const ids = z.array(z.int().min(0)).min(1).max(1_000_000);

/** A text, token ids, or several of either. */
export const PROMPTS = z.union([
  z.string().min(1),
  z.array(z.string().min(1)).min(1).max(2048),
  ids,
  z.array(ids).min(1).max(2048),
]);

export type Prompts = z.output<typeof PROMPTS>;

/** One prompt after the other. */
export function promptList(prompts: Prompts): (string | number[])[] {
  if (typeof prompts === "string") return [prompts];
  return typeof prompts[0] === "number" ? [prompts as number[]] : (prompts as (string | number[])[]);
}

export const COMPLETION_REQUEST = z
  .strictObject({
    model: z.string().max(500).nullish(),
    prompt: PROMPTS,
    ...SAMPLING,
    ...STREAM,
    max_tokens: z.int().min(0).nullish().openapi({
      description:
        "Default: 16, as OpenAI has it. 0 generates nothing: with `echo` and `logprobs` the prompt is scored.",
    }),
    logprobs: z.int().min(0).max(5).nullish(),
    echo: z.boolean().nullish().openapi({
      description: "The prompt before its continuation; with `logprobs` its own, null for its first token.",
    }),
    best_of: z.int().min(1).max(20).nullish(),
    suffix: z.string().nullish(),
    response_format: RESPONSE_FORMAT,
    special: z.enum(["text", "parse"]).nullish().openapi({
      description: "`parse`: control tokens in a prompt's text are tokens. Default: `text`. Not of OpenAI.",
    }),
    ...WITHOUT_EFFECT,
    ...EXTENSION,
  })
  .openapi("CompletionRequest");

export type CompletionRequest = z.output<typeof COMPLETION_REQUEST>;

const LOGPROBS = z
  .object({
    tokens: z.array(z.string()),
    token_logprobs: z.array(z.number().nullable()),
    top_logprobs: z.array(z.record(z.string(), z.number()).nullable()).nullable(),
    text_offset: z.array(z.int()),
  })
  .nullable();

export const COMPLETION_RESPONSE = z
  .object({
    id: z.string(),
    object: z.literal("text_completion"),
    created: z.int(),
    model: z.string(),
    system_fingerprint: z.string(),
    choices: z.array(
      z.object({
        index: z.int(),
        text: z.string(),
        logprobs: LOGPROBS,
        finish_reason: FINISH_REASON,
        capstan: CAPSTAN_RESPONSE.optional(),
      }),
    ),
    usage: USAGE,
  })
  .openapi("Completion");

export type CompletionResponse = z.output<typeof COMPLETION_RESPONSE>;
export type CompletionChoice = CompletionResponse["choices"][number];
export type CompletionLogprobs = NonNullable<CompletionChoice["logprobs"]>;

export const EMBEDDING_REQUEST = z
  .strictObject({
    model: z.string().max(500).nullish(),
    input: PROMPTS,
    encoding_format: z.enum(["float", "base64"]).nullish(),
    dimensions: z.int().min(1).nullish(),
    user: z.string().nullish(),
    capstan: z
      .strictObject({
        layer: z.int().min(0).nullish().openapi({
          description:
            "Whose residual stream is averaged. Default: the axis's target layer, else the middle one.",
        }),
        cap: z.union([z.string().min(1).max(200), z.literal(false)]).nullish(),
      })
      .nullish(),
  })
  .openapi("EmbeddingRequest");

export const EMBEDDING_RESPONSE = z
  .object({
    object: z.literal("list"),
    model: z.string(),
    data: z.array(
      z.object({
        object: z.literal("embedding"),
        index: z.int(),
        embedding: z.union([z.array(z.number()), z.string()]),
      }),
    ),
    usage: z.object({ prompt_tokens: z.int(), total_tokens: z.int() }),
    capstan: z.object({ layer: z.int(), site: z.string(), cap: z.string().nullable() }),
  })
  .openapi("Embeddings");
