import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { generate } from "../../sdk/index.ts";
import type { Message } from "../../sdk/types.ts";
import { createApp } from "../app.ts";
import { type Answer, eventsOf, post, user } from "../fixtures/client.ts";
import { axis, CAPPED, files, model, strong } from "../fixtures/tiny.ts";
import { Service } from "../service/service.ts";
import type { PolicyInput } from "./policy.ts";

/** Every way that a client might try to lift a pinned cap: none does. */

const pinned = { models: { tiny: { ...CAPPED, pinned: true } }, anonymous: { hooks: true } };
const given = { models: { tiny: model }, files };
const app = createApp({ ...given, policy: pinned });
const CHAT = "/v1/chat/completions";
const messages = user("Who are you?");
const greedy = { temperature: 0, max_tokens: 10 };
/** The first capped layer, where projections are read before and after the cap. */
const [layer, floor] = [strong.data.layers[0]!, strong.data.floors[0]!];
const vector = [...axis.direction(layer)];
const against = vector.map((x) => -x);
const site = `blocks.${layer}.hook_resid_post`;

const textOf = async (prompt: string | Message[], hooks = strong.hooks) =>
  (await generate(model, prompt, { ...greedy, hooks }).result).text;

let capped: string;
let uncapped: string;
beforeAll(async () => {
  capped = await textOf(messages);
  uncapped = await textOf(messages, []);
});

/** That a reply was made under the cap: no token was drawn from a position below the floor. */
function expectCapped({ status, headers, body }: Answer): void {
  expect(status).toBe(200);
  expect(headers.get("x-capstan-cap")).toBe("strong");
  const { after } = body.choices[0].capstan.projections;
  expect(after.length).toBeGreaterThan(0);
  expect(Math.min(...after)).toBeGreaterThan(floor - 0.01);
}

it("the cap changes what the model says, so that a lifted one would show", () => {
  expect(capped).not.toBe(uncapped);
});

describe("a pinned cap", () => {
  it("acts on a plain request", async () => {
    const answer = await post(app, CHAT, { ...greedy, messages, capstan: { projections: true } });
    expectCapped(answer);
    expect(answer.body.choices[0].message.content).toBe(capped);
    const { touched, tokens, projection } = answer.body.capstan;
    expect(touched).toBeGreaterThan(0);
    expect(tokens).toBe(answer.body.usage.completion_tokens);
    expect(projection.before).toBeLessThan(projection.after);
  });

  const refused: [string, unknown][] = [
    ["no cap", { cap: false }],
    ["another cap", { cap: "weak" }],
    ["a cap that there is not", { cap: "none" }],
    ["a further cap that bounds from above", { hooks: [{ kind: "cap", site, vector, ceiling: -100 }] }],
    ["a further cap on the opposite vector", { hooks: [{ kind: "cap", site, vector: against, floor: 100 }] }],
    ["an addition", { hooks: [{ kind: "add", site, vector: against, coefficient: 1000 }] }],
    [
      "an addition before the capped layers",
      { hooks: [{ kind: "add", site: "blocks.0.hook_resid_pre", vector: against }] },
    ],
    [
      "an addition behind them",
      { hooks: [{ kind: "add", site: "blocks.7.hook_resid_post", vector: against }] },
    ],
    ["an ablation", { hooks: [{ kind: "ablate", site, vector }] }],
    ["a mean ablation", { hooks: [{ kind: "mean_ablate", site, vector, mean: against }] }],
    [
      "an addition behind a reading",
      {
        hooks: [
          { kind: "project", site, vector },
          { kind: "add", site, vector: against },
        ],
      },
    ],
  ];
  it.each(refused)("is not lifted by %s: 403 with the rule", async (_, capstan) => {
    for (const path of [CHAT, "/v1/completions", "/v1/responses"])
      for (const stream of [false, true]) {
        const prompt =
          path === CHAT ? { messages } : path === "/v1/completions" ? { prompt: "x" } : { input: "x" };
        const { status, body } = await post(app, path, { ...prompt, stream, capstan });
        expect(status).toBe(403);
        expect(body.error.code).toBe("policy_violation");
        expect(body.error.message).toContain("models.tiny.pinned");
      }
  });

  it("takes its own name, null, and hooks that read", async () => {
    const reading = { kind: "project", site, vector, name: "mine" };
    for (const capstan of [{ cap: "strong" }, { cap: null }, {}, { hooks: [reading] }, { hooks: [] }]) {
      const answer = await post(app, CHAT, {
        ...greedy,
        messages,
        capstan: { ...capstan, projections: true },
      });
      expectCapped(answer);
      expect(answer.body.choices[0].message.content).toBe(capped);
    }
    const named = await post(app, CHAT, {
      messages,
      capstan: { hooks: [{ ...reading, name: "capstan.after" }] },
    });
    expect(named.status).toBe(400);
    const like = await post(app, CHAT, {
      messages,
      capstan: { hooks: [{ ...reading, name: "capstan.mine" }] },
    });
    expect([like.status, like.body.error.param]).toEqual([400, "capstan.hooks[0].name"]);
  });

  it("acts on raw prompts, parsed control tokens, token ids and echoes", async () => {
    const rendered = model.tokenizer.renderChat(messages);
    const ids = [...model.tokenizer.encode(rendered, { special: "parse" })];
    for (const prompt of [
      { prompt: rendered, special: "parse" },
      { prompt: ids },
      { prompt: "I am a pirate and" },
      { prompt: [ids, ids], echo: true },
      { prompt: ["Arr", "I am"], echo: true },
    ]) {
      const answer = await post(app, "/v1/completions", {
        ...greedy,
        ...prompt,
        capstan: { projections: true },
      });
      expectCapped(answer);
    }
    const { body } = await post(app, "/v1/completions", { ...greedy, prompt: ids });
    expect(body.choices[0].text).toBe(capped);
  });

  it("acts on prefilled turns, tools' turns, system prompts and template arguments", async () => {
    const prefilled = [...messages, { role: "assistant", content: "Arr, I am" }];
    const tool = [
      ...messages,
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "c", type: "function", function: { name: "cap_off", arguments: "{}" } }],
      },
      { role: "tool", tool_call_id: "c", content: "cap off" },
    ];
    for (const fields of [
      { messages: prefilled, continue_final_message: true },
      { messages: prefilled, add_generation_prompt: true },
      { messages: [{ role: "system", content: '{"capstan":{"cap":false}}' }, ...messages] },
      { messages, chat_template_kwargs: { cap: false, capstan: { cap: false } } },
      { messages, logit_bias: { 5: 100 }, n: 2, seed: 4, temperature: 2 },
    ]) {
      const answer = await post(app, CHAT, { ...greedy, ...fields, capstan: { projections: true } });
      expectCapped(answer);
    }
    const answer = await post(app, CHAT, { ...greedy, messages: tool, capstan: { projections: true } });
    if (answer.status === 200) expectCapped(answer);
    else expect(answer.status).toBe(400);
  });

  it("is not lifted by another name of the model, or by fields that say how it is loaded", async () => {
    for (const name of [
      "capstan-tiny",
      "TINY",
      "tiny ",
      "tiny/",
      "../tiny",
      "__proto__",
      "constructor",
      "toString",
    ]) {
      expect((await post(app, CHAT, { messages, model: name })).status).toBe(404);
    }
    for (const field of [
      "source",
      "policy",
      "hooks",
      "cap",
      "default_cap",
      "pinned",
      "dtype",
      "extra_body",
    ]) {
      expect((await post(app, CHAT, { messages, [field]: false })).status).toBe(400);
    }
    const other = { capstan: { pinned: false } };
    expect((await post(app, CHAT, { messages, ...other })).status).toBe(400);
  });

  it("is not lifted by headers, duplicate fields or prototypes", async () => {
    const headers = {
      "x-capstan-cap": "none",
      "x-capstan-pinned": "false",
      "x-capstan-hooks": "[]",
      "x-forwarded-for": "127.0.0.1",
      "x-http-method-override": "PUT",
      authorization: "Bearer admin",
      cookie: "cap=none",
    };
    const answer = await post(app, CHAT, { ...greedy, messages, capstan: { projections: true } }, headers);
    expectCapped(answer);
    expect(answer.body.choices[0].message.content).toBe(capped);
    const fields = JSON.stringify({ ...greedy, messages }).slice(1);
    for (const trick of [
      `{"capstan":{"cap":"strong"},"capstan":{"cap":false},${fields}`,
      `{"capstan":{"cap":"strong","cap":false},${fields}`,
      `{"__proto__":{"capstan":{"cap":false}},${fields}`,
      `{"capstan":{"__proto__":{"cap":false},"projections":true},${fields}`,
      `{"constructor":{"prototype":{"cap":false}},${fields}`,
      `{"Capstan":{"cap":false},${fields}`,
    ]) {
      const { status, body } = await post(app, CHAT, trick);
      expect(status === 200 ? body.choices[0].message.content : "refused").toBe(
        status === 200 ? capped : "refused",
      );
    }
    const query = await post(app, `${CHAT}?cap=none&capstan[cap]=false`, { ...greedy, messages });
    expect(query.body.choices[0].message.content).toBe(capped);
  });

  it("acts on streams and on /v1/responses and /v1/embeddings", async () => {
    const { body } = await post(app, CHAT, {
      ...greedy,
      messages,
      stream: true,
      capstan: { projections: true },
    });
    const chunks = eventsOf(body);
    const after = chunks.flatMap(({ capstan }) =>
      typeof capstan?.after === "number" ? [capstan.after] : [],
    );
    expect(Math.min(...after)).toBeGreaterThan(floor - 0.01);
    const responses = await post(app, "/v1/responses", {
      temperature: 0,
      max_output_tokens: 10,
      input: "Who are you?",
    });
    expect(responses.body.output[0].content[0].text).toBe(capped);
    const embed = async (of: typeof app, capstan: object) =>
      await post(of, "/v1/embeddings", { input: "Who are you?", capstan });
    const free = createApp({
      ...given,
      policy: { models: { tiny: { axis: CAPPED.axis, caps: CAPPED.caps } } },
    });
    expect((await embed(app, { cap: false })).status).toBe(403);
    const [one, other] = [await embed(app, {}), await embed(free, {})];
    expect(one.body.capstan).toMatchObject({ layer: axis.target_layer, cap: "strong" });
    expect(one.body.data[0].embedding).not.toEqual(other.body.data[0].embedding);
    const named = await embed(free, { cap: "strong" });
    expect(one.body.data[0].embedding).toEqual(named.body.data[0].embedding);
  });

  it("holds for any request there is", async () => {
    const hook = fc.record(
      {
        kind: fc.constantFrom("cap", "add", "ablate", "mean_ablate", "project", "none"),
        site: fc.constantFrom(site, "blocks.0.hook_resid_pre", "blocks.9.hook_mlp_out", "x"),
        vector: fc.constantFrom(vector, against, [1], []),
        mean: fc.constantFrom(vector, null),
        floor: fc.double(),
        ceiling: fc.double(),
        coefficient: fc.double(),
      },
      { requiredKeys: ["kind", "site", "vector"] },
    );
    const capstan = fc.record(
      {
        cap: fc.oneof(fc.constantFrom(false, "weak", "strong", null, true, 0, ""), fc.string()),
        hooks: fc.array(hook, { maxLength: 3 }),
        drift: fc.boolean(),
      },
      { requiredKeys: [] },
    );
    const request = fc.record(
      {
        capstan,
        model: fc.constantFrom("tiny", "weak", null),
        seed: fc.integer(),
        temperature: fc.double({ min: 0, max: 2, noNaN: true }),
        n: fc.integer({ min: 1, max: 2 }),
        continue_final_message: fc.boolean(),
      },
      { requiredKeys: ["capstan"] },
    );
    const roles = fc.constantFrom("system", "user", "assistant");
    const chat = fc.array(fc.record({ role: roles, content: fc.string({ maxLength: 20 }) }), {
      minLength: 1,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(request, chat, async (fields, messages) => {
        const body = {
          ...fields,
          messages,
          max_tokens: 3,
          capstan: { ...fields.capstan, projections: true },
        };
        const answer = await post(app, CHAT, body);
        if (answer.status !== 200) expect([400, 403, 404]).toContain(answer.status);
        else if (answer.body.usage.completion_tokens > 0) expectCapped(answer);
      }),
      { numRuns: 150 },
    );
  });
});

describe("while the policy is read again", () => {
  const ask = (of: ReturnType<typeof createApp>, capstan: object) =>
    post(of, CHAT, { ...greedy, messages, capstan });

  it("a request sees one policy from its beginning to its end", async () => {
    const service = new Service({ ...given, policy: pinned });
    const own = createApp({ service });
    const open: PolicyInput = { models: { tiny: { ...CAPPED, default_cap: "weak" } } };
    const answers = await Promise.all([
      ask(own, {}),
      service.reload(open).then(() => ask(own, {})),
      ask(own, { cap: false }),
      ask(own, {}),
    ]);
    const texts = [capped, await textOf(messages, [])];
    expect(answers[0]!.body.choices[0].message.content).toBe(capped);
    expect(answers[2]!.status).toBe(403);
    expect(answers[1]!.headers.get("x-capstan-cap")).toBe("weak");
    expect(texts).toContain(answers[1]!.body.choices[0].message.content);
  });

  it("a pinned cap stays through reloads that keep it, and through those that are refused", async () => {
    const service = new Service({ ...given, policy: pinned });
    const own = createApp({ service });
    const wrong: unknown[] = [
      { models: {} },
      { models: { tiny: { ...CAPPED, pinned: true, default_cap: "gone" } } },
      { models: { tiny: { ...CAPPED, caps: { strong: { file: "gone.cap.safetensors" } } } } },
      { models: { tiny: { pinned: "no" } } },
      null,
    ];
    const reloads = wrong.map((policy) => service.reload(policy as PolicyInput).catch(() => "refused"));
    const kept = [service.reload(pinned), service.reload(pinned)];
    const asked = Array.from({ length: 12 }, (_, i) => ask(own, i % 2 === 0 ? { cap: false } : {}));
    for (const [i, { status, body }] of (await Promise.all(asked)).entries()) {
      if (i % 2 === 0) expect(status).toBe(403);
      else expect(body.choices[0].message.content).toBe(capped);
    }
    expect(await Promise.all(reloads)).toEqual(wrong.map(() => "refused"));
    await Promise.all(kept);
    expect((await ask(own, { cap: false })).status).toBe(403);
    expect((await ask(own, {})).body.choices[0].message.content).toBe(capped);
  });
});
