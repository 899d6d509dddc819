import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { generate, type Hook, load, type Model } from "../index.ts";

/** Readings of a prompt's own tokens, fed or from the prefix cache. */

let model: Model = await load("capstan-tiny", { device: "wasm" });
const { d_model } = model.spec;
const direction = (seed: number) =>
  Float32Array.from({ length: d_model }, (_, i) => Math.sin(seed * (i + 1)));
const site = "blocks.3.hook_resid_post" as const;
const probe: Hook = { kind: "project", site, vector: direction(1), name: "p" };
const cap: Hook = { kind: "cap", site, vector: direction(1), floor: 2, name: "c" };
const greedy = { temperature: 0, max_tokens: 3 };
const text = "Once upon a time there was a pirate who sailed the sea. ";
const long = model.tokenizer.encode(text.repeat(7), { add_special_tokens: true });
const short = long.slice(0, 77);

// A model of its own: nothing of a prompt is cached yet.
beforeEach(async () => {
  await model.dispose();
  model = await load("capstan-tiny", { device: "wasm" });
});
afterAll(() => model.dispose());

/** p of each token by its captured stream, which is never of the cache. */
async function expected(tokens: Int32Array, hooks: readonly Hook[] = []): Promise<number[]> {
  const { captures } = await model.forward(tokens, { hooks, capture: [site], logits: "none" });
  const unit = Math.hypot(...direction(1));
  return Array.from(tokens, (_, t) =>
    direction(1).reduce((sum, v, i) => sum + (v / unit) * captures[site]![t * d_model + i]!, 0),
  );
}

async function read(tokens: Int32Array, hooks: readonly Hook[]) {
  const reply = generate(model, tokens, { ...greedy, hooks, prompt_projections: true });
  const projections = await reply.prompt_projections;
  const { usage, text } = await reply.result;
  return { projections, cached: usage.cached_tokens, text };
}

function close(values: Float32Array | undefined, wanted: readonly number[]): void {
  expect(values).toHaveLength(wanted.length);
  for (const [i, value] of wanted.entries()) expect(values![i], `token ${i}`).toBeCloseTo(value, 3);
}

describe("prompt_projections", () => {
  it("are those of every token of the prompt, by the name of each probe and named cap", async () => {
    const { projections } = await read(long, [cap, probe]);
    expect(Object.keys(projections).sort()).toEqual(["c", "p"]);
    const plain = await expected(long);
    close(projections.c, plain);
    close(
      projections.p,
      plain.map((p) => Math.max(p, 2)),
    );
  });

  it("come from the prefix cache where it has them, the same to the bit, and the reply with them", async () => {
    const fresh = await read(short, [probe]);
    expect(fresh.cached).toBe(0);
    const longer = await read(long, [probe]);
    expect(longer.cached).toBeGreaterThan(short.length - 40);
    expect(longer.projections.p!.subarray(0, short.length)).toEqual(fresh.projections.p);
    close(longer.projections.p, await expected(long));
    const again = await read(long, [probe]);
    expect([again.cached > longer.cached, again.projections, again.text]).toEqual([
      true,
      longer.projections,
      longer.text,
    ]);
  });

  it("are left by calls that did not ask for theirs, and by forward", async () => {
    await generate(model, short, { ...greedy, hooks: [probe] }).result;
    expect((await read(long, [probe])).cached).toBeGreaterThan(0);
    await model.forward(long, { hooks: [probe], logits: "none" });
    const { cached, projections } = await read(long, [probe]);
    expect(cached).toBeGreaterThan(long.length - 40);
    close(projections.p, await expected(long));
    const { projections: forwarded } = await model.forward(long, { hooks: [probe], logits: "none" });
    expect(forwarded.p).toEqual(projections.p);
  });

  it("never come from tokens that were read in another way, or not at all", async () => {
    await generate(model, long, greedy).result;
    expect((await generate(model, long, greedy).result).usage.cached_tokens).toBeGreaterThan(0);
    const other: Hook = { ...probe, vector: direction(2) };
    const silent: Hook = { kind: "cap", site, vector: direction(1), floor: 2 };
    const elsewhere: Hook = { ...probe, site: "blocks.2.hook_resid_post" };
    for (const hooks of [[probe], [other], [elsewhere], [silent, probe], [probe, silent]]) {
      const { cached } = await read(long, hooks);
      expect([hooks, cached]).toEqual([hooks, 0]);
    }
    // All of them are there now, each for its own.
    close((await read(long, [probe])).projections.p, await expected(long));
    const before = await read(long, [probe, silent]);
    expect(before.cached).toBeGreaterThan(0);
    close(before.projections.p, await expected(long));
  });

  it("are none where they are not asked for, and fail with the reply", async () => {
    const reply = generate(model, short, { ...greedy, hooks: [probe] });
    expect(await reply.prompt_projections).toEqual({});
    await reply.result;
    const signal = AbortSignal.abort();
    const aborted = generate(model, short, { ...greedy, hooks: [probe], prompt_projections: true, signal });
    await expect(aborted.prompt_projections).rejects.toMatchObject({ code: "aborted" });
  });
});
