import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CapstanError } from "../../models/index.ts";
import { sha256 } from "../../sdk/platform/index.ts";
import { Caps } from "../../sdk/science/index.ts";
import { createApp } from "../app.ts";
import { get, post, user } from "../fixtures/client.ts";
import { axis, CAPPED, files, model, strong } from "../fixtures/tiny.ts";
import type { LogEntry } from "../log.ts";
import { equalDigests } from "./keys.ts";
import { type PolicyInput, policySchema, readPolicy } from "./policy.ts";

const CHAT = "/v1/chat/completions";
const request = { model: "tiny", messages: user("What colour is the sky?"), max_tokens: 2 };
const KEY = "sk-ada-0123456789";
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

const make = (policy: Partial<PolicyInput>, log: LogEntry[] = []) =>
  createApp({
    models: { tiny: model, other: model },
    files,
    policy: { models: { tiny: {} }, ...policy },
    log: (entry) => log.push(entry),
  });

describe("the policy file", () => {
  it("has a schema, which is this file's", async () => {
    const text = `${JSON.stringify(policySchema(), null, 2)}\n`;
    await expect(text).toMatchFileSnapshot(join(import.meta.dirname, "policy.schema.json"));
  });

  const wrong: [string, unknown, RegExp][] = [
    ["no object", [], /expected object/],
    ["no models", { models: {} }, /models: at least one model/],
    ["an unknown field", { models: { a: { pined: true } } }, /models\.a: Unrecognized key: "pined"/],
    [
      "a default cap that is not there",
      { models: { a: { default_cap: "x" } } },
      /models\.a\.default_cap: no cap is named "x"/,
    ],
    ["nothing to pin", { models: { a: { pinned: true } } }, /models\.a\.pinned: a default_cap to pin/],
    ["drift without an axis", { models: { a: { drift: {} } } }, /models\.a\.drift: an axis is needed/],
    [
      "drift with no cap to switch on",
      { models: { a: { axis: "a", drift: { action: "cap" } } } },
      /drift\.cap: the cap of action/,
    ],
    ["a key in plain text", { models: { a: {} }, keys: { ada: { sha256: KEY } } }, /keys\.ada\.sha256/],
    [
      "a key for no model",
      { models: { a: {} }, keys: { ada: { sha256: "0".repeat(64), models: ["b"] } } },
      /keys\.ada\.models: no model is named "b"/,
    ],
    ["a prefix cache of nobody's", { models: { a: {} }, prefix_cache: "by_model" }, /prefix_cache/],
    ["a wrong limit", { models: { a: {} }, limits: { deadline_s: 0 } }, /limits\.deadline_s/],
  ];
  it.each(wrong)("is refused with %s", (_, policy, message) => {
    expect(() => readPolicy(policy, "p.json")).toThrow(message);
    expect(() => readPolicy(policy, "p.json")).toThrow(CapstanError);
    expect(() => readPolicy(policy, "p.json")).not.toThrow(KEY);
  });

  it("refuses a cap of another model's digest unless it says otherwise", async () => {
    const { data } = strong;
    const foreign = new (strong.constructor as new (d: object) => typeof strong)({
      ...data,
      model: { id: "x", digest: "sha256:1" },
    });
    const of = (any_model: boolean) =>
      createApp({
        models: { tiny: model },
        files: () => foreign.toBytes(),
        policy: { models: { tiny: { caps: { far: { file: "far", any_model } }, default_cap: "far" } } },
      });
    const refused = await post(of(false), CHAT, request);
    expect([refused.status, refused.body.error.code]).toEqual([503, "model_unavailable"]);
    expect((await post(of(true), CHAT, request)).status).toBe(200);
  });
});

describe("keys", () => {
  const keys = async () => ({
    ada: { sha256: await sha256(KEY) },
    bob: { sha256: await sha256("sk-bob"), models: ["other"], hooks: true },
  });

  it("are asked for where there are some, and known by their hash", async () => {
    const app = make({ models: { tiny: {}, other: {} }, keys: await keys() });
    for (const headers of [
      {},
      bearer("sk-ada"),
      bearer(await sha256(KEY)),
      { authorization: KEY },
      { authorization: `Basic ${KEY}` },
      bearer(""),
    ]) {
      const {
        status,
        body,
        headers: answered,
      } = await post(app, CHAT, request, headers as Record<string, string>);
      expect([status, body.error.code, body.error.type]).toEqual([
        401,
        "invalid_api_key",
        "authentication_error",
      ]);
      expect(answered.get("www-authenticate")).toBe("Bearer");
    }
    expect((await get(app, "/v1/models")).status).toBe(401);
    expect((await get(app, "/metrics")).status).toBe(401);
    expect((await get(app, "/health")).status).toBe(200);
    expect((await post(app, CHAT, request, bearer(KEY))).status).toBe(200);
  });

  it("are not asked for where the policy says so, but a wrong one is refused", async () => {
    const app = make({ keys: await keys(), models: { tiny: {}, other: {} }, anonymous: {} });
    expect((await post(app, CHAT, request)).status).toBe(200);
    expect((await post(app, CHAT, request, bearer("wrong"))).status).toBe(401);
    expect((await post(make({ anonymous: false }), CHAT, request)).status).toBe(401);
    expect((await post(make({}), CHAT, request, bearer("any"))).status).toBe(200);
  });

  it("open some models and let some send hooks", async () => {
    const app = make({ models: { tiny: {}, other: {} }, keys: await keys() });
    const bob = await post(app, CHAT, request, bearer("sk-bob"));
    expect([bob.status, bob.body.error.code]).toEqual([403, "policy_violation"]);
    expect(bob.body.error.message).toContain("keys.bob.models");
    const list = await get(app, "/v1/models", bearer("sk-bob"));
    expect(list.body.data.map(({ id }: { id: string }) => id)).toEqual(["other"]);
    const hooks = [{ kind: "project", site: "blocks.0.hook_resid_post", vector: [1] }];
    const ada = await post(app, CHAT, { ...request, capstan: { hooks } }, bearer(KEY));
    expect(ada.body.error.message).toContain("keys.ada.hooks");
    const width = await post(app, CHAT, { ...request, model: "other", capstan: { hooks } }, bearer("sk-bob"));
    expect([width.status, width.body.error.code]).toEqual([400, "bad_hook"]);
  });

  it("are compared whole, whatever differs", () => {
    const digest = "ab".repeat(32);
    expect(equalDigests(digest, digest)).toBe(true);
    for (const at of [0, 31, 63])
      expect(equalDigests(digest, `${digest.slice(0, at)}x${digest.slice(at + 1)}`)).toBe(false);
    expect(equalDigests(digest, digest.slice(1))).toBe(false);
  });

  it("and texts of messages are in no log line and no error, and texts are where the policy asks for them", async () => {
    const log: LogEntry[] = [];
    const app = make({ models: { tiny: {}, other: {} }, keys: await keys() }, log);
    await post(app, CHAT, request, bearer(KEY));
    await post(app, CHAT, { ...request, stream: true }, bearer(KEY));
    await post(app, CHAT, { ...request, nonsense: "colour" }, bearer(KEY));
    await post(app, CHAT, request, bearer("sk-wrong-key"));
    await post(app, CHAT, `{"x": "colour of the sky"`, bearer(KEY));
    expect(log.map(({ status }) => status)).toEqual([200, 200, 400, 401, 400]);
    expect(log[0]).toMatchObject({ client: "ada", model: "tiny", completion_tokens: 2, route: CHAT });
    expect(JSON.stringify(log)).not.toMatch(/colour|sk-|0123456789/);
    const spoken: LogEntry[] = [];
    await post(make({ log_text: true }, spoken), CHAT, request);
    await post(make({ log_text: true }, spoken), CHAT, { ...request, stream: true, n: 2 });
    await post(make({ log_text: true }, spoken), "/v1/completions", { prompt: "The colour", max_tokens: 2 });
    await post(make({ log_text: true }, spoken), "/v1/responses", {
      input: "A colour?",
      max_output_tokens: 2,
    });
    for (const { request_text, reply_text } of spoken) {
      expect(request_text).toContain("colour");
      expect(reply_text).toMatch(/\S/);
    }
    expect(spoken).toHaveLength(4);
  });
});

describe("raw prompts", () => {
  it("are refused where the policy says so", async () => {
    const app = make({ models: { tiny: { raw_prompts: false } } });
    for (const stream of [false, true]) {
      const { status, body } = await post(app, "/v1/completions", { prompt: "x", stream });
      expect([status, body.error.param]).toEqual([403, "prompt"]);
      expect(body.error.message).toContain("models.tiny.raw_prompts");
    }
    expect((await post(app, CHAT, request)).status).toBe(200);
  });
});

describe("limits", () => {
  it("of tokens, replies and bytes", async () => {
    const app = make({ limits: { max_tokens: 4, max_n: 2, max_body_bytes: 2000 } });
    const long = await post(app, CHAT, { ...request, max_tokens: 5 });
    expect([long.status, long.body.error.param]).toEqual([403, "max_tokens"]);
    expect(long.body.error.message).toContain("limits.max_tokens");
    const { max_tokens: _, ...open } = request;
    expect((await post(app, CHAT, open)).body.usage.completion_tokens).toBe(4);
    expect((await post(app, CHAT, { ...request, n: 3 })).body.error.message).toContain("limits.max_n");
    expect((await post(app, "/v1/completions", { prompt: ["a", "b", "c"] })).status).toBe(403);
    const large = await post(app, CHAT, { ...request, messages: user("x".repeat(3000)) });
    expect([large.status, large.body.error.code]).toEqual([413, "body_too_large"]);
  });

  it("of requests a minute and at one time: 429 with Retry-After", async () => {
    const app = make({ anonymous: { requests_per_minute: 2 } });
    const answers = [];
    for (let i = 0; i < 3; i++) answers.push(await post(app, CHAT, request));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
    expect(Number(answers[2]!.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(answers[2]!.body.error).toMatchObject({ type: "rate_limit_error", code: "rate_limit_exceeded" });
    const narrow = make({ anonymous: { max_running: 1 } });
    const both = await Promise.all([post(narrow, CHAT, request), post(narrow, CHAT, request)]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 429]);
    const streamed = await narrow.request(CHAT, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...request, stream: true }),
    });
    expect((await post(narrow, CHAT, request)).status).toBe(429);
    await streamed.text();
    expect((await post(narrow, CHAT, request)).status).toBe(200);
  });

  it("of time: 504, or the stream's last event", async () => {
    const app = make({ limits: { deadline_s: 0.02 } });
    const slow = {
      ...request,
      max_tokens: 900,
      logit_bias: Object.fromEntries([...model.spec.eos_token_ids].map((id) => [id, -100])),
      temperature: 1,
      seed: 1,
      n: 8,
    };
    const { status, body } = await post(app, CHAT, slow);
    expect([status, body.error?.code]).toEqual([504, "deadline_exceeded"]);
    const streamed = await post(app, CHAT, { ...slow, stream: true });
    expect(streamed.body).toContain("deadline_exceeded");
    expect(model.stats()).toMatchObject({ n_running: 0, n_waiting: 0 });
  });
});

describe("CORS", () => {
  it("is off, and on for the origins that the policy names", async () => {
    const origin = { origin: "https://a.example" };
    const preflight = {
      ...origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization",
    };
    const ask = async (policy: Partial<PolicyInput>) => {
      const response = await make(policy).request(CHAT, { method: "OPTIONS", headers: preflight });
      return response.headers.get("access-control-allow-origin");
    };
    const wrong = await post(make({ cors: ["https://a.example"], anonymous: false }), CHAT, request, origin);
    expect([wrong.status, wrong.headers.get("access-control-allow-origin")]).toEqual([
      401,
      "https://a.example",
    ]);
    expect(await ask({})).toBe(null);
    expect(await ask({ cors: ["https://b.example"] })).toBe(null);
    expect(await ask({ cors: ["https://a.example"] })).toBe("https://a.example");
    expect(
      (await post(make({ cors: ["https://a.example"] }), CHAT, request, origin)).headers.get(
        "access-control-allow-origin",
      ),
    ).toBe("https://a.example");
  });
});

describe("hosts", () => {
  const status = async (app: ReturnType<typeof make>, host: string, headers: Record<string, string> = {}) =>
    (await app.request(`http://${host}/v1/models`, { headers })).status;
  const of = (policy: Partial<PolicyInput>) =>
    createApp({ models: { tiny: model }, policy: { models: { tiny: {} }, ...policy }, is_loopback: true });

  it("at a loopback address without keys, other hosts than loopback's are refused", async () => {
    const app = of({});
    for (const host of [
      "localhost:8080",
      "LOCALHOST",
      "127.0.0.1:80",
      "127.9.9.9",
      "[::1]:8080",
      "a.localhost",
      "localhost.",
    ])
      expect(await status(app, host), host).toBe(200);
    for (const host of [
      "evil.example",
      "evil.example:8080",
      "127.0.0.1.evil.example",
      "localhost.evil.example",
      "10.0.0.1",
      "[2001:db8::1]",
    ])
      expect(await status(app, host), host).toBe(403);
    for (const path of ["/health", "/metrics", "/openapi.json", "/"]) {
      const answer = await app.request(`http://evil.example${path}`);
      expect([path, answer.status, await answer.json()]).toMatchObject([
        path,
        403,
        { error: { code: "host_not_allowed" } },
      ]);
    }
  });

  it("a Host beside an absolute target counts, and one that is none is a 400", async () => {
    const app = of({});
    expect(await status(app, "localhost", { host: "localhost:80" })).toBe(200);
    expect(await status(app, "localhost", { host: "evil.example" })).toBe(403);
    const { status: malformed, body } = await get(app, "/health", { host: "a b" });
    expect([malformed, body.error.code]).toEqual([400, "invalid_http"]);
  });

  it("with keys, or elsewhere, every host is served; with anonymous clients beside keys not", async () => {
    const keys = { ada: { sha256: await sha256(KEY) } };
    expect(await status(of({ keys }), "evil.example", bearer(KEY))).toBe(200);
    expect(await status(of({ keys, anonymous: {} }), "evil.example")).toBe(403);
    expect(await status(make({}), "evil.example")).toBe(200);
  });

  it("a policy names them, whatever the address", async () => {
    const hosts = ["Chat.example.org", "[::1]", "localhost"];
    for (const app of [of({ hosts }), make({ hosts })]) {
      for (const host of ["chat.example.org:9", "[::1]", "localhost:1"])
        expect(await status(app, host)).toBe(200);
      for (const host of ["example.org", "127.0.0.1"]) expect(await status(app, host)).toBe(403);
    }
    expect(() => readPolicy({ models: { a: {} }, hosts: ["a:80"] }, "p")).toThrow(/hosts\[0\]: a host name/);
  });
});

describe("GET /v1/caps", () => {
  it("shows every cap's card", async () => {
    const { body } = await get(make({ models: { tiny: { ...CAPPED, pinned: true } } }), "/v1/caps");
    expect(body.data.map(({ id }: { id: string }) => id)).toEqual(["strong", "weak"]);
    expect(body.data[0]).toMatchObject({
      model: "tiny",
      default: true,
      pinned: true,
      layers: [3, 4, 5],
      percentile: null,
      ceilings: [null, null, null],
      made_on: { digest: model.digest },
      axis_digest: axis.digest,
      made_of: { target_layer: 4, roles: axis.roles, made: { judge: "all" } },
      measured: { n_responses: 16, cos_pc1: [1, 1, 1] },
      axis: { target_layer: 4, digest: axis.digest, matches: true },
    });
    const { measured, floors } = body.data[0];
    expect(measured.percentiles.layers).toHaveLength(3);
    expect(measured.percentiles.layers[1].at(-1)).toBeLessThan(floors[1]);
  });

  it("says null of what the file of a cap does not say", async () => {
    const { axis: _, ...data } = strong.data;
    const bare = new Caps(data);
    const app = createApp({
      models: { tiny: model },
      files: () => bare.toBytes(),
      policy: { models: { tiny: { caps: { bare: { file: "bare" } } } } },
    });
    const { body } = await get(app, "/v1/caps");
    expect(body.data[0]).toMatchObject({ axis_digest: null, made_of: null, measured: null, axis: null });
  });
});
