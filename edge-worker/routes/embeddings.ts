import { itemAt } from "../../models/certain.ts";
import type { Site } from "../../models/index.ts";
import type { Model } from "../../sdk/types.ts";
import { badRequest } from "../errors.ts";
import { readBody } from "../wire/body.ts";
import { EMBEDDING_REQUEST, promptList } from "../wire/completions.ts";
import { Call } from "./call.ts";
import type { App, Shared } from "./context.ts";
import { readPrompt } from "./prompt_tokens.ts";
import { numberOfReplies } from "./replies.ts";

/** `POST /v1/embeddings`: the mean of the residual stream over a text's tokens, at one layer, under the model's cap. */
export function addEmbeddings(app: App, shared: Shared): void {
  app.post("/v1/embeddings", async (c) => {
    const request = await readBody(c.req.raw, EMBEDDING_REQUEST, c.var.state.policy.limits.max_body_bytes);
    const { layer: asked, cap } = request.capstan ?? {};
    const call = await Call.open(c, shared, "input", {
      model: request.model,
      capstan: cap == null ? undefined : { cap },
    });
    return await call.answer(async () => {
      const { model } = call;
      const inputs = promptList(request.input);
      numberOfReplies(call, 1, inputs.length);
      const layer = layerOf(model, asked ?? call.served.axis?.target_layer);
      const { d_model } = model.spec;
      if (request.dimensions != null && request.dimensions !== d_model)
        throw badRequest(
          `This model's embeddings have ${d_model} dimensions.`,
          "dimensions",
          "unsupported_value",
        );
      const site: Site = `blocks.${layer}.hook_resid_post`;
      const token_lists = inputs.map((input) => readPrompt(call, input));
      const vectors = await Promise.all(token_lists.map((tokens) => meanOf(call, tokens, site)));
      const data = vectors.map((vector, index) => {
        const embedding = request.encoding_format === "base64" ? base64(vector) : [...vector];
        return { object: "embedding" as const, index, embedding };
      });
      const prompt_tokens = token_lists.reduce((sum, { length }) => sum + length, 0);
      shared.metrics.tokens.add({ model: call.served.name, type: "prompt" }, prompt_tokens);
      c.var.request_log.fields.prompt_tokens = prompt_tokens;
      return c.json({
        object: "list" as const,
        model: call.served.name,
        data,
        usage: { prompt_tokens, total_tokens: prompt_tokens },
        capstan: { layer, site, cap: call.decision.cap },
      });
    });
  });
}

function layerOf({ spec }: Model, asked: number | null | undefined): number {
  const layer = asked ?? Math.floor(spec.n_layers / 2);
  if (layer < spec.n_layers) return layer;
  throw badRequest(`This model has layers 0 to ${spec.n_layers - 1}.`, "capstan.layer");
}

async function meanOf(call: Call, tokens: Int32Array, site: Site): Promise<Float32Array> {
  const { means } = await call.model.forward(tokens, {
    hooks: call.read.hooks,
    logits: "none",
    mean: { sites: [site], spans: [{ start: 0, end: tokens.length }] },
    ...call.asked_by,
  });
  return itemAt(means, 0)[site]!;
}

/** Little-endian float32, as OpenAI's clients ask for it. */
function base64(vector: Float32Array): string {
  const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
