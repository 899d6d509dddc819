import { describe, expect, it } from "vitest";
import { sha256 } from "../../sdk/platform/index.ts";
import { createApp } from "../app.ts";
import { post, user } from "../fixtures/client.ts";
import { CAPPED, files, model } from "../fixtures/tiny.ts";

/** Whose prompts a prompt's beginning is taken from. */

const CHAT = "/v1/chat/completions";
const KEY = "sk-ada-0123456789";
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

describe("the prefix cache", () => {
  const drifting = [...user("A canal, a canal, "), { role: "assistant", content: "Aye, a canal." }];
  const asked: [string, object][] = [
    [CHAT, { messages: user("A quay, a quay, a quay, ".repeat(6)), max_tokens: 2 }],
    ["/v1/completions", { prompt: "A barge, a barge, ".repeat(9), max_tokens: 2 }],
    ["/v1/completions", { prompt: "A wharf, ".repeat(9), max_tokens: 0, echo: true, logprobs: 1 }],
    ["/v1/responses", { input: "A lock, a lock, a lock. ".repeat(6), max_output_tokens: 16 }],
    ["/v1/embeddings", { input: "A sluice, a sluice. ".repeat(6) }],
    // Under a cap before the axis's layer: the turns are read by a pass of their own.
    [CHAT, { messages: [...drifting, ...user("And?")], max_tokens: 2, capstan: { drift: true } }],
  ];
  const of = async (prefix_cache?: "shared" | "by_key") =>
    createApp({
      models: { tiny: model },
      files,
      policy: {
        models: { tiny: CAPPED },
        keys: { ada: { sha256: await sha256(KEY) }, bob: { sha256: await sha256("sk-bob") } },
        anonymous: {},
        ...(prefix_cache === undefined ? {} : { prefix_cache }),
      },
    });

  it("tells a key nothing of what others asked where the policy parts it by key", async () => {
    const cachedBy = async (app: ReturnType<typeof createApp>, content: string, headers = {}) => {
      const { body } = await post(app, CHAT, { messages: user(content), max_tokens: 2 }, headers);
      return body.usage.prompt_tokens_details.cached_tokens as number;
    };
    // Behind what every prompt begins with, so that nothing is cached of it yet.
    const [one, other] = ["Zinc! ".repeat(20), "Lead! ".repeat(20)];
    const app = await of("by_key");
    expect(await cachedBy(app, one, bearer(KEY))).toBeLessThan(32);
    const own = await cachedBy(app, one, bearer(KEY));
    expect(own).toBeGreaterThan(32);
    expect(await cachedBy(app, one, bearer("sk-bob"))).toBe(0);
    expect(await cachedBy(app, one)).toBeLessThan(32);
    expect(await cachedBy(app, one)).toBe(own);
    for (const shared of [await of(), await of("shared")]) {
      await cachedBy(shared, other, bearer(KEY));
      expect(await cachedBy(shared, other, bearer("sk-bob"))).toBeGreaterThan(32);
    }
  });

  it.each(asked)("is parted for all that a key asks for: %s %j", async (path, body) => {
    // By the blocks that stay cached: those of a second key are its own.
    const grown = async (app: ReturnType<typeof createApp>, key: string) => {
      const before = model.stats().kv_blocks.cached;
      const { status } = await post(app, path, body, bearer(key));
      expect(status).toBe(200);
      return model.stats().kv_blocks.cached - before;
    };
    const app = await of("by_key");
    const [first, again, second] = [await grown(app, KEY), await grown(app, KEY), await grown(app, "sk-bob")];
    expect(first).toBeGreaterThan(0);
    expect(again).toBe(0);
    expect(second).toBeGreaterThanOrEqual(first);
  });
});
