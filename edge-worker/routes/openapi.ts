import { OpenAPIHono, z } from "@hono/zod-openapi";
import { CHAT_REQUEST, CHAT_RESPONSE } from "../wire/chat.ts";
import {
  COMPLETION_REQUEST,
  COMPLETION_RESPONSE,
  EMBEDDING_REQUEST,
  EMBEDDING_RESPONSE,
} from "../wire/completions.ts";
import { RESPONSES_REQUEST, RESPONSES_RESPONSE } from "../wire/responses.ts";
import type { App } from "./context.ts";

const ERROR = z
  .object({
    error: z.object({
      message: z.string(),
      type: z.string(),
      param: z.string().nullable(),
      code: z.string().nullable(),
    }),
  })
  .openapi("Error");

const ERRORS: Readonly<Record<number, string>> = {
  400: "The request is at fault: `param` names the field.",
  401: "An API key is needed.",
  403: "The policy forbids it: the message names the rule.",
  404: "There is no such model.",
  413: "The body is too large.",
  415: "The body is not JSON.",
  429: "The queue or the client's rate is full: `Retry-After` says when to try again.",
  500: "The server failed.",
  503: "The server is shutting down, or the model cannot be served: `Retry-After`.",
  504: "The deadline has passed.",
};

const json = (schema: z.ZodType) => ({ "application/json": { schema } });

/** `GET /openapi.json`: the API, made of the schemas that requests are checked with. */
export function addOpenApi(app: App): void {
  let made: object | undefined;
  app.get("/openapi.json", (c) => {
    made ??= documentOf();
    return c.json(made);
  });
}

function documentOf(): object {
  const docs = new OpenAPIHono();
  docs.openAPIRegistry.registerComponent("securitySchemes", "key", { type: "http", scheme: "bearer" });
  const errors = Object.fromEntries(
    Object.entries(ERRORS).map(([status, description]) => [status, { description, content: json(ERROR) }]),
  );
  const posts = [
    ["/v1/chat/completions", "A reply to a chat.", CHAT_REQUEST, CHAT_RESPONSE, true],
    ["/v1/completions", "A text's continuation.", COMPLETION_REQUEST, COMPLETION_RESPONSE, true],
    [
      "/v1/responses",
      "A reply to a chat, in OpenAI's newer form.",
      RESPONSES_REQUEST,
      RESPONSES_RESPONSE,
      true,
    ],
    ["/v1/embeddings", "The mean residual stream of texts.", EMBEDDING_REQUEST, EMBEDDING_RESPONSE, false],
  ] as const;
  for (const [path, summary, request, response, streams] of posts) {
    const events = streams ? { "text/event-stream": { schema: z.string() } } : {};
    docs.openAPIRegistry.registerPath({
      method: "post",
      path,
      summary,
      security: [{ key: [] }, {}],
      request: { body: { required: true, content: json(request) } },
      responses: { 200: { description: "The reply.", content: { ...json(response), ...events } }, ...errors },
    });
  }
  const list = z.object({ object: z.literal("list"), data: z.array(z.looseObject({ id: z.string() })) });
  const gets = [
    ["/v1/models", "The models that this client may use.", list],
    ["/v1/caps", "The card of each cap: what it was made of, and where it acts.", list],
    ["/v1/models/{model}", "One model.", z.looseObject({ id: z.string() })],
    ["/health", "Whether the process answers.", z.object({ status: z.string() })],
    ["/ready", "Whether it takes requests.", z.object({ status: z.string() })],
  ] as const;
  for (const [path, summary, schema] of gets) {
    const params = path.includes("{") ? { request: { params: z.object({ model: z.string() }) } } : {};
    docs.openAPIRegistry.registerPath({
      method: "get",
      path,
      summary,
      ...params,
      responses: {
        200: { description: "The answer.", content: json(schema) },
        401: errors[401]!,
        503: errors[503]!,
      },
    });
  }
  return docs.getOpenAPI31Document({
    openapi: "3.1.0",
    info: { title: "Capstan", version: "1", description: "Capped chat, in the shape of OpenAI's API." },
  });
}
