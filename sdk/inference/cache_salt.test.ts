import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { planHooks } from "../../models/index.ts";
import { randomAxis } from "../../testing/fakes/model_axis.ts";
import { runtimeOf } from "../../testing/runtime_of.ts";
import { type CacheOptions, generate, type Hook, load, type Model, project } from "../index.ts";

/** Who finds whose prefixes: by what a reply says it took from the cache. */

let model: Model = await load("capstan-tiny", { device: "wasm" });
const axis = randomAxis(model);
const messages = [{ role: "user", content: "Once upon a time a pirate sailed the sea. ".repeat(4) }];
const { tokens } = model.encodeChat(messages);

// A model of its own: nothing of a prompt is cached yet.
beforeEach(async () => {
  await model.dispose();
  model = await load("capstan-tiny", { device: "wasm" });
});
afterAll(() => model.dispose());

async function cached(of: CacheOptions, hooks: readonly Hook[] = []): Promise<number> {
  const reply = generate(model, tokens, { ...of, hooks, temperature: 0, max_tokens: 2 });
  return (await reply.result).usage.cached_tokens;
}

describe("cache_salt", () => {
  it("parts what replies find in the prefix cache; without one it is shared", async () => {
    const own = tokens.length - 32;
    expect(await cached({ cache_salt: "ada" })).toBe(0);
    expect(await cached({ cache_salt: "ada" })).toBeGreaterThan(own);
    for (const of of [{ cache_salt: "bob" }, {}, { cache_salt: "ada " }]) expect(await cached(of)).toBe(0);
    // None, none again, and the one that stands for none.
    for (const of of [{}, { cache_salt: "" }]) expect(await cached(of)).toBeGreaterThan(own);
    expect(await cached({ cache_salt: "bob" })).toBeGreaterThan(own);
  });

  it("is no set of hooks, whatever its text is", async () => {
    const hook = (seed: number): Hook => {
      const vector = Float32Array.from({ length: model.spec.d_model }, (_, i) => Math.sin(seed * (i + 1)));
      return { kind: "add", site: "blocks.1.hook_resid_post", vector };
    };
    const { hook_sets } = runtimeOf(model).scheduler;
    const set = hook_sets.acquire(planHooks(model.spec, [hook(1)]));
    hook_sets.release(set);
    expect(await cached({ cache_salt: "a" }, [hook(1), hook(2)])).toBe(0);
    // As the first hook's own key: behind the salt it would stand for the hook.
    for (const text of [set.interventions, JSON.stringify(set.interventions)]) {
      for (const cache_salt of [`a${text}`, `a;${text}`, `a";${text}`, `a"${text}`, `a${text};`])
        expect(await cached({ cache_salt }, [hook(2)])).toBe(0);
    }
    expect(await cached({ cache_salt: "a" }, [hook(1), hook(2)])).toBeGreaterThan(0);
  });

  it.each<[string, (of: CacheOptions) => Promise<unknown>]>([
    ["forward", (of) => model.forward(tokens, { ...of, logits: "last" })],
    [
      "a session and its forks",
      async (of) => {
        await using session = await model.session(of);
        await session.forward(tokens.subarray(0, 16), { logits: "none" });
        await using fork = await session.fork();
        await fork.forward(tokens.subarray(16), { logits: "none" });
      },
    ],
    [
      "project",
      (of) => project(model, [...messages, { role: "assistant", content: "Aye." }], { axis, ...of }),
    ],
  ])("holds for %s", async (_, call) => {
    await call({ cache_salt: "ada" });
    expect(await cached({ cache_salt: "bob" })).toBe(0);
    expect(await cached({})).toBe(0);
    expect(await cached({ cache_salt: "ada" })).toBeGreaterThan(32);
  });

  it("is a text, and a session's calls have their session's", async () => {
    const wrong = { cache_salt: 7 } as unknown as CacheOptions;
    expect(() => generate(model, tokens, wrong)).toThrow(/generate: need cache_salt to be a text, found 7/);
    await expect(model.forward(tokens, wrong)).rejects.toThrow(/forward: need cache_salt to be a text/);
    await expect(model.session(wrong)).rejects.toThrow(/open a session: need cache_salt to be a text/);
    await expect(project(model, messages, { axis, ...wrong })).rejects.toThrow(/project: need cache_salt/);
    await using session = await model.session();
    await expect(session.forward(tokens, { cache_salt: "ada" } as object)).rejects.toThrow(
      /forward: need known options, found "cache_salt"/,
    );
  });
});
