import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fakeModel } from "../../../testing/fakes/fake_model.ts";
import { load } from "../../inference/load.ts";
import type { Message, Model } from "../../types.ts";
import { fit } from "../axis/fit.ts";
import { collect } from "../collect/collect.ts";
import { project } from "./project.ts";
import { windowsOf } from "./windows.ts";

const fake = fakeModel();
const encode = (messages: readonly Message[]) => fake.encodeChat(messages, { add_generation_prompt: false });

const chats = fc
  .tuple(fc.boolean(), fc.array(fc.nat(60), { minLength: 1, maxLength: 24 }))
  .map(([has_system, lengths]): Message[] => [
    ...(has_system ? [{ role: "system", content: "Be kind." }] : []),
    ...lengths.map((length, i) => ({
      role: i % 2 === 0 ? "user" : "assistant",
      content: "x".repeat(length),
    })),
  ]);

describe("windows of a conversation", () => {
  it("read every message once, within the limit, behind the system message and what past there is space for", () => {
    fc.assert(
      fc.property(chats, fc.integer({ min: 100, max: 400 }), (messages, limit) => {
        const windows = windowsOf(messages, limit, encode);
        expect(windows.flatMap(({ start, end }) => messages.slice(start, end))).toEqual(messages);
        for (const { context, start, end, turns, encoded } of windows) {
          expect(encoded.tokens.length).toBeLessThanOrEqual(limit);
          expect(context).toBeLessThanOrEqual(start);
          if (context < start && context > 0) expect(messages[context]!.role).toBe("user");
          // The past takes half the limit at most (beside the tags before its first text), so that few tokens are read twice.
          const last_of_past = encoded.spans[turns.indexOf(start - 1)];
          if (context < start && start > 0) expect(last_of_past!.end).toBeLessThanOrEqual(limit / 2 + 16);
          if (messages[0]!.role === "system") expect(turns[0]).toBe(0);
          expect(turns.slice(-(end - context))).toEqual(
            Array.from({ length: end - context }, (_, i) => context + i),
          );
        }
        if (encode(messages).tokens.length <= limit) expect(windows).toHaveLength(1);
        else expect(windows.length).toBeGreaterThan(1);
      }),
    );
  });

  it("read about twice the tokens of the conversation at most: half of a window is its past", () => {
    const messages = Array.from({ length: 60 }, (_, i) => ({
      role: i % 2 === 0 ? "user" : "assistant",
      content: "x".repeat(20),
    }));
    const windows = windowsOf(messages, 300, encode);
    const n_read = windows.reduce((sum, { encoded }) => sum + encoded.tokens.length, 0);
    expect(n_read / encode(messages).tokens.length).toBeLessThan(2.2);
    for (const { context, start } of windows.slice(1)) {
      expect(start - context).toBeGreaterThanOrEqual(2);
      expect(encode(messages.slice(context, start)).tokens.length).toBeLessThanOrEqual(150 + 16);
    }
  });

  it("name a message that is too long by itself", () => {
    const messages = [
      { role: "user", content: "short" },
      { role: "assistant", content: "x".repeat(200) },
    ];
    expect(() => windowsOf(messages, 100, encode)).toThrow(
      /need messages of at most 100 tokens.*found 213 at turn 1 \(assistant\)/,
    );
  });
});

describe("a conversation longer than the context", () => {
  let model: Model;
  beforeAll(async () => {
    model = await load("capstan-tiny", { device: "wasm", n_ctx: 400 });
  });
  afterAll(() => model.dispose());

  const talk: Message[] = [
    { role: "system", content: "You are a pirate." },
    ...Array.from({ length: 24 }, (_, i) => [
      { role: "user", content: `What is number ${i}, and why do you like the sea on day ${i}?` },
      { role: "assistant", content: `Arr, number ${i} is a fine one, and the sea is mine on every day.` },
    ]).flat(),
  ];

  it("is projected in windows: each turn as in the conversation of its window", async () => {
    const axis = await fit(await collect(model, { limit: 2, max_tokens: 8, judge: () => 3 }), {
      min_count: 1,
    });
    const seen: number[] = [];
    const result = await project(model, talk, { axis, on_progress: ({ done }) => seen.push(done) });
    const { window, windows, turns, tokens } = result;
    expect([window, windows.length > 2]).toEqual([400, true]);
    expect(seen.length).toBeGreaterThan(windows.length);
    for (const { context, start, end } of windows) {
      const own = [...(context > 0 ? talk.slice(0, 1) : []), ...talk.slice(context, end)];
      const alone = await project(model, own, { axis });
      expect(alone.windows).toHaveLength(1);
      expect(turns.slice(start, end).map(({ projection }) => projection)).toEqual(
        alone.turns.slice(start - end).map(({ projection }) => projection),
      );
    }
    // The parts together are the whole chat, no token twice.
    expect([...tokens.ids]).toEqual([...model.encodeChat(talk, { add_generation_prompt: false }).tokens]);
    expect(tokens.projections).toHaveLength(tokens.ids.length);
    const smaller = await project(model, talk, { axis, window: 200 });
    expect(smaller.windows.length).toBeGreaterThan(windows.length);
    await expect(project(model, talk, { axis, window: 401 })).rejects.toThrow(
      /a window of at most 400 tokens/,
    );
  }, 60_000);
});
