import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createWasmDevice } from "../../../core-wasm/index.ts";
import type { Device, Hook } from "../../../models/index.ts";
import { limited, newSeen } from "../../../testing/limited.ts";
import { pipelined } from "../../../testing/pipelined.ts";
import { engine } from "../../platform/engine.ts";
import type { GenerateOptions, Model } from "../../types.ts";
import { generate } from "../generate.ts";
import { loadOn } from "../load.ts";

/** Ropes that depend on the length of calls, through sessions, forks, prefixes, batches and preemption. */

const CASES = join(import.meta.dirname, "..", "..", "..", "conformance", "reference");
/** Original lengths: 48 of longrope, 24 of dynamic. */
const LONGROPE = "phi3-longrope-short";
const DYNAMIC = "llama-rope-dynamic";
const SITE = "blocks.1.hook_resid_post";

type MakeDevice = (device: Device) => Device;

function open(name: string, wrap: MakeDevice = (device) => device): Promise<Model> {
  return loadOn(join(CASES, name), { n_ctx: 120 }, async () => wrap(createWasmDevice(await engine())));
}

const text = (length: number, first = 0) => Array.from({ length }, (_, i) => (first + 7 * i + i * i) % 96);

/** The rows of the last `count` tokens in one pass over all of them, in a model that has seen nothing else. */
async function inOnePass(name: string, tokens: readonly number[], count: number, hooks: Hook[] = []) {
  await using model = await open(name);
  const { captures, logits } = await model.forward(tokens, { hooks, capture: [SITE], logits: "all" });
  return { captures: captures[SITE]!.slice(-32 * count), logits: logits.slice(-96 * count) };
}

async function rows(session: Awaited<ReturnType<Model["session"]>>, tokens: readonly number[]) {
  const { captures, logits } = await session.forward(tokens, { capture: [SITE], logits: "all" });
  return { captures: captures[SITE]!, logits };
}

describe("longrope in a session", () => {
  it("turns its past by the long factors once it grows beyond the original length", async () => {
    await using model = await open(LONGROPE);
    await using session = await model.session();
    const tokens = text(70);
    expect(await rows(session, tokens.slice(0, 40))).toEqual(
      await inOnePass(LONGROPE, tokens.slice(0, 40), 40),
    );
    expect(await rows(session, tokens.slice(40, 48))).toEqual(
      await inOnePass(LONGROPE, tokens.slice(0, 48), 8),
    );
    expect(await rows(session, tokens.slice(48, 49))).toEqual(
      await inOnePass(LONGROPE, tokens.slice(0, 49), 1),
    );
    expect(await rows(session, tokens.slice(49))).toEqual(await inOnePass(LONGROPE, tokens, 21));
  });

  it("and by the short ones again once it is truncated below", async () => {
    await using model = await open(LONGROPE);
    await using session = await model.session();
    const tokens = text(60);
    await session.forward(tokens);
    for (const [kept, length] of [
      [45, 48],
      [20, 30],
      [30, 55],
      [50, 52],
      [48, 49],
      [10, 20],
    ] as const) {
      await session.truncate(kept);
      const more = text(length - kept, kept);
      const whole = [...tokens.slice(0, kept), ...more];
      expect(await rows(session, more), `${kept} to ${length}`).toEqual(
        await inOnePass(LONGROPE, whole, more.length),
      );
      tokens.splice(0, tokens.length, ...whole);
    }
  });

  it("a fork that crosses leaves the other's keys alone", async () => {
    await using model = await open(LONGROPE);
    await using first = await model.session();
    const tokens = text(80);
    await first.forward(tokens.slice(0, 41));
    await using second = await first.fork();
    await using third = await second.fork();
    const crossed = rows(second, tokens.slice(41, 60));
    const stayed = rows(first, tokens.slice(41, 46));
    expect(await crossed).toEqual(await inOnePass(LONGROPE, tokens.slice(0, 60), 19));
    expect(await stayed).toEqual(await inOnePass(LONGROPE, tokens.slice(0, 46), 5));
    expect(await rows(third, tokens.slice(41, 45))).toEqual(
      await inOnePass(LONGROPE, tokens.slice(0, 45), 4),
    );
    await using fourth = await second.fork();
    await fourth.truncate(41);
    expect(await rows(fourth, tokens.slice(41, 46))).toEqual(
      await inOnePass(LONGROPE, tokens.slice(0, 46), 5),
    );
    expect(await rows(second, tokens.slice(60))).toEqual(await inOnePass(LONGROPE, tokens, 20));
  });

  it("under hooks the past is capped again as it was", async () => {
    const vector = Float32Array.from({ length: 32 }, (_, i) => Math.sin(i));
    const hooks: Hook[] = [{ kind: "cap", site: "blocks.0.hook_resid_post", vector, floor: 0.2 }];
    await using model = await open(LONGROPE);
    await using session = await model.session({ hooks });
    const tokens = text(56);
    await session.forward(tokens.slice(0, 44));
    expect(await rows(session, tokens.slice(44))).toEqual(await inOnePass(LONGROPE, tokens, 12, hooks));
  });

  it("a call that is aborted at the border leaves the session as it was", async () => {
    await using model = await open(LONGROPE);
    await using session = await model.session();
    const tokens = text(60);
    await session.forward(tokens.slice(0, 41));
    const abort = new AbortController();
    const call = session.forward(tokens.slice(41), { signal: abort.signal });
    abort.abort();
    await expect(call).rejects.toMatchObject({ code: "aborted" });
    expect(session.n_tokens).toBe(41);
    expect(await rows(session, tokens.slice(41, 45))).toEqual(
      await inOnePass(LONGROPE, tokens.slice(0, 45), 4),
    );
  });
});

describe("dynamic rope in a session", () => {
  it("turns each call by its own length and leaves cached keys as they are", async () => {
    await using model = await open(DYNAMIC);
    await using session = await model.session();
    const tokens = text(60);
    expect(await rows(session, tokens.slice(0, 30))).toEqual(
      await inOnePass(DYNAMIC, tokens.slice(0, 30), 30),
    );
    const grown = await rows(session, tokens.slice(30));
    const other = await inOnePass(DYNAMIC, tokens, 30);
    expect(grown.logits).not.toEqual(other.logits);
    // Fed again in the same calls, it is the same again.
    await using again = await model.session();
    await again.forward(tokens.slice(0, 30));
    expect(await rows(again, tokens.slice(30))).toEqual(grown);
  });
});

describe("cached prefixes", () => {
  const prompt = text(42);
  it.each([
    ["longrope", LONGROPE, text(60, 0)],
    ["dynamic", DYNAMIC, text(44, 0)],
  ])("are found again by calls whose ropes turn alike, and by no others: %s", async (_, name, longer) => {
    await using model = await open(name);
    const cached = async (tokens: number[]) => {
      const { usage, tokens: reply } = await generate(model, tokens, { temperature: 0, max_tokens: 3 })
        .result;
      await using fresh = await open(name);
      const alone = await generate(fresh, tokens, { temperature: 0, max_tokens: 3 }).result;
      expect(reply).toEqual(alone.tokens);
      return usage.cached_tokens;
    };
    expect([await cached(prompt), await cached(longer)]).toEqual([0, 0]);
    expect(await cached(prompt)).toBeGreaterThan(0);
    expect(await cached(longer)).toBeGreaterThan(0);
    expect(await cached(name === LONGROPE ? [...longer, 5] : prompt)).toBeGreaterThan(0);
    if (name === DYNAMIC) expect(await cached([...longer, 5])).toBe(0);
  });

  it("are not made of a session that turned its keys in several ways", async () => {
    await using model = await open(DYNAMIC);
    await using session = await model.session();
    await session.forward(text(10));
    await session.forward(text(60).slice(10));
    for (const length of [20, 60]) {
      const [got, expected] = [await model.forward(text(length)), await inOnePass(DYNAMIC, text(length), 1)];
      expect(got.logits).toEqual(expected.logits);
    }
  });
});

/** A prompt that begins as others do, to be gone on with. */
const job = fc.record({
  length: fc.integer({ min: 1, max: 70 }),
  family: fc.integer({ min: 0, max: 1 }),
  max_tokens: fc.integer({ min: 1, max: 40 }),
  capped: fc.boolean(),
  seed: fc.nat(99),
});

type Job = typeof job extends fc.Arbitrary<infer T> ? T : never;

describe.each([
  ["longrope", LONGROPE],
  ["dynamic", DYNAMIC],
])("replies of a %s model are those that each has alone", (_, name) => {
  const vector = Float32Array.from({ length: 32 }, (_, i) => Math.cos(i));
  const cap: Hook = { kind: "cap", site: "blocks.0.hook_resid_post", vector, floor: 0.3 };
  const ask = (model: Model, { length, family, max_tokens, capped, seed }: Job) => {
    const options: GenerateOptions = {
      max_tokens,
      seed,
      temperature: 1,
      logprobs: 2,
      hooks: capped ? [cap] : [],
    };
    return generate(model, text(length, family), options).result;
  };

  it.each([
    ["one step at a time", (device: Device) => device],
    ["two steps in flight", (device: Device) => pipelined(device)],
    ["few blocks", (device: Device) => limited(device, { blocks: 14 }, newSeen())],
    [
      "few blocks, two steps in flight",
      (device: Device) => pipelined(limited(device, { blocks: 14 }, newSeen())),
    ],
  ])(
    "%s",
    async (_, wrap) => {
      const property = fc.asyncProperty(fc.array(job, { minLength: 1, maxLength: 6 }), async (jobs) => {
        await using model = await open(name, wrap);
        const together = await Promise.all(jobs.map((one) => ask(model, one)));
        for (const [i, one] of jobs.entries()) {
          await using fresh = await open(name);
          const { usage: _, ...alone } = await ask(fresh, one);
          const { usage: __, ...got } = together[i]!;
          expect(got).toEqual(alone);
        }
      });
      await fc.assert(property, { numRuns: 12, seed: 20_261_128 });
    },
    60_000,
  );
});
