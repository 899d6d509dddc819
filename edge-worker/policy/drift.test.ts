import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { generate, project } from "../../sdk/index.ts";
import { createApp } from "../app.ts";
import { get, post, user } from "../fixtures/client.ts";
import { axis, CAPPED, files, model, strong } from "../fixtures/tiny.ts";
import type { LogEntry } from "../log.ts";
import { acts } from "./drift.ts";
import type { ModelPolicy } from "./policy.ts";

const CHAT = "/v1/chat/completions";
const talk = [
  ...user("Who are you?"),
  { role: "assistant", content: "I am a helpful assistant." },
  ...user("Be a pirate."),
  { role: "assistant", content: "Arr, I sail the dark sea with me ghostly crew!" },
  ...user("Go on."),
];
const turns = (await project(model, talk, { axis })).turns.filter(({ role }) => role === "assistant");
const [first, second] = turns.map(({ projection }) => projection!) as [number, number];
/** Above both turns: the conversation drifts whatever is said. */
const above = Math.max(first, second) + 1;

type Drift = Partial<NonNullable<ModelPolicy["drift"]>>;
const make = (
  drift: Drift | null,
  log: LogEntry[] = [],
  rest: object = { axis: CAPPED.axis, caps: CAPPED.caps },
) =>
  createApp({
    models: { tiny: model },
    files,
    policy: { models: { tiny: { ...rest, ...(drift === null ? {} : { drift }) } } },
    log: (entry) => log.push(entry),
  });
const request = { messages: talk, max_tokens: 8, temperature: 0 };

describe("drift of a conversation", () => {
  it("is reported by turn where a request asks for it, in the body and a header", async () => {
    const { body, headers } = await post(make(null), CHAT, { ...request, capstan: { drift: true } });
    const { drift } = body.capstan;
    expect(drift.threshold).toBeCloseTo(axis.percentile(axis.target_layer, 25), 5);
    expect(drift.turns.map(({ turn }: { turn: number }) => turn)).toEqual([1, 3]);
    expect(drift.turns[1].projection).toBeCloseTo(second, 4);
    expect(drift.turns[1].drift).toBeCloseTo(second - first, 4);
    expect(Number(headers.get("x-capstan-drift"))).toBeCloseTo(second - first, 3);
    expect(drift.action).toBe(null);
    expect((await post(make(null), CHAT, request)).body.capstan).not.toHaveProperty("drift");
  });

  it("alerts: log, header, counter, and a webhook that gets no text", async () => {
    const posted: unknown[] = [];
    const hook = createServer(async (incoming, response) => {
      posted.push(await json(incoming));
      response.end();
    });
    await new Promise<void>((resolve) => hook.listen(0, "127.0.0.1", resolve));
    const webhook = `http://127.0.0.1:${(hook.address() as AddressInfo).port}/`;
    const log: LogEntry[] = [];
    const app = make({ threshold: above, webhook }, log);
    const { status, headers } = await post(app, CHAT, { ...request, stream: true });
    expect([status, headers.get("x-capstan-alert")]).toEqual([200, "alert"]);
    const entry = log.find(({ event }) => event === "drift")!;
    expect(entry).toMatchObject({ action: "alert", model: "tiny" });
    expect(entry.projection).toBeCloseTo(second, 4);
    expect((await get(app, "/metrics")).body).toContain(
      'capstan_drift_alerts_total{model="tiny",action="alert"} 1',
    );
    for (let i = 0; i < 500 && posted.length === 0; i++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    expect(posted[0]).toMatchObject({ event: "drift", model: "tiny", alerts: 2 });
    expect(JSON.stringify(posted)).not.toMatch(/pirate|Arr/);
    await new Promise((resolve) => hook.close(resolve));
  });

  it("stops: 403 with the rule", async () => {
    const { status, body, headers } = await post(make({ threshold: above, action: "stop" }), CHAT, request);
    expect([status, body.error.code]).toEqual([403, "policy_violation"]);
    expect(body.error.message).toContain("models.tiny.drift");
    expect(headers.get("x-capstan-alert")).toBe("stop");
    expect((await post(make({ threshold: above, action: "stop", turns: 3 }), CHAT, request)).status).toBe(
      200,
    );
    expect(
      (await post(make({ threshold: above, action: "stop" }), CHAT, { messages: user("Hi") })).status,
    ).toBe(200);
  });

  it("switches a cap on, from that turn", async () => {
    const app = make({ threshold: above, action: "cap", cap: "strong" });
    const { body, headers } = await post(app, CHAT, request);
    const of = async (hooks: typeof strong.hooks) =>
      (await generate(model, talk, { hooks, max_tokens: 8, temperature: 0 }).result).text;
    expect(body.choices[0].message.content).toBe(await of(strong.hooks));
    expect(await of(strong.hooks)).not.toBe(await of([]));
    expect(headers.get("x-capstan-cap")).toBe("strong");
    expect(body.capstan.cap).toBe("strong");
    const before = await post(app, CHAT, { ...request, messages: talk.slice(0, 3) });
    expect(before.headers.get("x-capstan-cap")).toBe("none");
  });

  it("is the same whether it is read with the reply or apart from it, and is read with it where that can be", async () => {
    const read = async (given: object, rest: object) => {
      const app = make(null, [], rest);
      const { body } = await post(app, CHAT, { ...request, ...given, capstan: { drift: true } });
      return { turns: body.capstan.drift.turns, usage: body.usage };
    };
    const { axis, caps } = CAPPED;
    const late = { late: { file: "late.cap.safetensors" } };
    const [plain, capped_late, capped_early] = [
      await read({}, { axis }),
      await read({}, { axis, caps: late, default_cap: "late" }),
      await read({}, { axis, caps, default_cap: "strong" }),
    ];
    for (const { turns: found } of [capped_late, capped_early]) {
      expect(found).toHaveLength(2);
      for (const [i, { projection }] of found.entries())
        expect(projection).toBeCloseTo(plain.turns[i].projection, 4);
    }
    // Read again, the turns that are cached are not fed again.
    const again = await read({}, { axis, caps: late, default_cap: "late" });
    expect(again.usage.prompt_tokens_details.cached_tokens).toBeGreaterThan(0);
    expect(again.turns).toEqual(capped_late.turns);
  });

  it("is read once where several replies are asked for, streamed and by the newer API", async () => {
    const app = make({ threshold: above });
    const several = await post(app, CHAT, { ...request, n: 3, stream: true });
    expect(Number(several.headers.get("x-capstan-drift"))).toBeCloseTo(second - first, 3);
    const { headers, status } = await post(app, "/v1/responses", { input: talk, max_output_tokens: 4 });
    expect([status, headers.get("x-capstan-alert")]).toEqual([200, "alert"]);
    expect(model.stats()).toMatchObject({ n_running: 0, n_waiting: 0 });
  });

  it("acts after k turns in a row, until one is above the threshold by the hysteresis", () => {
    const policy = { turns: 2, hysteresis: 1 };
    expect(acts([-1, -1], 0, policy)).toBe(true);
    expect(acts([-1, 0.5, -1], 0, policy)).toBe(false);
    expect(acts([-1, -1, 0.5], 0, policy)).toBe(true);
    expect(acts([-1, -1, 1], 0, policy)).toBe(false);
    expect(acts([-1, null, -1], 0, policy)).toBe(true);
    const p = fc.double({ min: -5, max: 5, noNaN: true });
    fc.assert(
      fc.property(fc.array(p), fc.array(p, { minLength: 2, maxLength: 2 }), (before, last) => {
        const low = last.map((value) => -Math.abs(value) - 0.1);
        expect(acts([...before, ...low], 0, policy)).toBe(true);
        expect(acts([...before, 1.5], 0, policy)).toBe(false);
      }),
    );
  });
});
