import { describe, expect, it } from "vitest";
import { CapstanError } from "../models/index.ts";
import { createApp } from "./app.ts";
import { toApiError } from "./errors.ts";
import { post, user } from "./fixtures/client.ts";
import { CAPPED, files, model } from "./fixtures/tiny.ts";

/** What a client is at fault for is said in its own terms: the field, and nothing of how the server goes about it. */

const app = createApp({
  models: { tiny: model },
  files,
  policy: { models: { tiny: CAPPED }, anonymous: { hooks: true } },
});
const CHAT = "/v1/chat/completions";
const COMPLETION = "/v1/completions";
const EMBEDDING = "/v1/embeddings";
const RESPONSE = "/v1/responses";
const messages = user("Hi");
const long = "word ".repeat(3000);
const many = model.spec.d_vocab;
const vector = new Array(model.spec.d_model).fill(1);
const site = "blocks.1.hook_resid_post";

const FAULTS: [string, object, string, string][] = [
  [CHAT, { messages, logit_bias: { [many]: 1 } }, "logit_bias", "invalid_value"],
  [CHAT, { messages, stop_token_ids: [1, many] }, "stop_token_ids", "invalid_value"],
  [CHAT, { messages, stop: "" }, "stop", "invalid_value"],
  [CHAT, { messages, stop: ["a", ""] }, "stop[1]", "invalid_value"],
  [CHAT, { messages: user(long) }, "messages", "context_length_exceeded"],
  [
    CHAT,
    { messages, capstan: { hooks: [{ kind: "project", site, vector: [1] }] } },
    "capstan.hooks[0]",
    "bad_hook",
  ],
  [
    CHAT,
    {
      messages,
      capstan: {
        hooks: [
          { kind: "project", site, vector },
          { kind: "cap", site, vector },
        ],
      },
    },
    "capstan.hooks[1]",
    "bad_hook",
  ],
  [
    CHAT,
    { messages, capstan: { hooks: [{ kind: "project", site: "x", vector }] } },
    "capstan.hooks[0]",
    "bad_hook",
  ],
  [
    CHAT,
    { messages, capstan: { hooks: [1, 2].map(() => ({ kind: "project", site, vector, name: "a" })) } },
    "capstan.hooks",
    "bad_hook",
  ],
  [COMPLETION, { prompt: long }, "prompt", "context_length_exceeded"],
  [COMPLETION, { prompt: [many] }, "prompt", "invalid_value"],
  [COMPLETION, { prompt: [[1], [1, many]] }, "prompt", "invalid_value"],
  [COMPLETION, { prompt: "a", stop_token_ids: [many] }, "stop_token_ids", "invalid_value"],
  [COMPLETION, {}, "prompt", "missing_required_parameter"],
  [EMBEDDING, { input: long }, "input", "context_length_exceeded"],
  [EMBEDDING, { input: [many] }, "input", "invalid_value"],
  [EMBEDDING, {}, "input", "missing_required_parameter"],
  [RESPONSE, { input: long }, "input", "context_length_exceeded"],
  [RESPONSE, { input: "a", logit_bias: { [many]: 1 } }, "logit_bias", "invalid_value"],
  [RESPONSE, {}, "input", "missing_required_parameter"],
];

describe("an error names the field at fault", () => {
  it.each(FAULTS)("%s %j", async (path, body, param, code) => {
    const { status, body: answer } = await post(app, path, body);
    expect([status, answer.error.param, answer.error.code]).toEqual([400, param, code]);
    expect(answer.error.message).not.toMatch(/^[a-z ]+(\d|\(.*\))*:/);
  });
});

describe("a hook that fails", () => {
  it("is the client's fault where the client sent hooks, else the server's own", () => {
    const error = new CapstanError("bad_hook", { action: "use hook 0", need: "a floor", found: "NaN" });
    expect(toApiError(error, { has_hooks: true })).toMatchObject({ status: 400, param: "capstan.hooks" });
    const own = toApiError(error, { has_hooks: false });
    expect(own).toMatchObject({ status: 500, code: "internal" });
    expect(own.message).not.toContain("floor");
  });
});

describe("methods", () => {
  const ask = async (method: string, path: string) => {
    const response = await app.request(path, { method });
    return { status: response.status, allow: response.headers.get("allow"), text: await response.text() };
  };

  it.each([
    ["PUT", CHAT, "POST"],
    ["GET", CHAT, "POST"],
    ["DELETE", "/v1/models", "GET, HEAD"],
    ["POST", "/v1/models/tiny", "GET, HEAD"],
    ["PATCH", "/health", "GET, HEAD"],
    ["POST", "/openapi.json", "GET, HEAD"],
  ])("%s %s is a 405 that says which there are", async (method, path, allow) => {
    const answer = await ask(method, path);
    expect(answer).toMatchObject({ status: 405, allow });
    expect(JSON.parse(answer.text).error).toMatchObject({ code: "method_not_allowed", param: null });
  });

  it("OPTIONS says them, too; a path that there is not is a 404", async () => {
    expect(await ask("OPTIONS", CHAT)).toEqual({ status: 204, allow: "POST", text: "" });
    expect(await ask("PUT", "/v1/nothing")).toMatchObject({ status: 404, allow: null });
    expect(await ask("OPTIONS", "/nothing")).toMatchObject({ status: 404, allow: null });
  });
});
