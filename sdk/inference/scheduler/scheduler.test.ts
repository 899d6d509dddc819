import { beforeAll, describe, expect, it } from "vitest";
import { createTruthDevice } from "../../../conformance/truth/index.ts";
import { CapstanError, type Device, type Hook, type StepEntry } from "../../../models/index.ts";
import { runtimeOf } from "../../../testing/runtime_of.ts";
import type { Model } from "../../types.ts";
import { generate } from "../generate.ts";
import { loadOn } from "../load.ts";

const CASE = "conformance/reference/llama-gqa-untied";

/** A device that writes down every batch it is given. */
function recording(device: Device, batches: StepEntry[][]): Device {
  return {
    ...device,
    kind: device.kind,
    description: device.description,
    dtypes: device.dtypes,
    dispose: () => device.dispose(),
    load: async (...args) => {
      const model = await device.load(...args);
      const step = model.step.bind(model);
      model.step = (batch) => {
        batches.push([...batch]);
        return step(batch);
      };
      return model;
    },
  };
}

let model: Model;
const batches: StepEntry[][] = [];

beforeAll(async () => {
  model = await loadOn(CASE, {}, async () => recording(createTruthDevice(), batches));
});

const prompt = (n: number, first = 1) => Int32Array.from({ length: n }, (_, i) => (first + i * 7) % 90);
const greedy = { temperature: 0, max_tokens: 6 };

function floorAt(layer: number, floor: number): Hook {
  const vector = Float32Array.from({ length: model.spec.d_model }, (_, i) => Math.sin(i + layer));
  return { kind: "cap", site: `blocks.${layer}.hook_resid_post`, vector, floor };
}

describe("the scheduler", () => {
  it("gives each of many concurrent replies the tokens it has alone, hooks and all", async () => {
    const jobs = Array.from({ length: 8 }, (_, i) => ({
      tokens: prompt(5 + 9 * i, i),
      hooks: i % 2 === 0 ? [] : [floorAt(i % model.spec.n_layers, 3)],
    }));
    const alone = [];
    for (const { tokens, hooks } of jobs)
      alone.push((await generate(model, tokens, { ...greedy, hooks }).result).tokens);
    batches.length = 0;
    const together = await Promise.all(
      jobs.map(({ tokens, hooks }) => generate(model, tokens, { ...greedy, hooks }).result),
    );
    expect(together.map((result) => result.tokens)).toEqual(alone);
    expect(Math.max(...batches.map((batch) => batch.length))).toBe(jobs.length);
    expect(new Set(together.map((result) => result.tokens.join())).size).toBeGreaterThan(1);
  });

  it("reuses a prefix only under equal interventions", async () => {
    const tokens = prompt(60, 3);
    const first = await generate(model, tokens, greedy).result;
    const again = await generate(model, tokens, greedy).result;
    const capped = await generate(model, tokens, { ...greedy, hooks: [floorAt(0, 5)] }).result;
    const probe: Hook = { kind: "project", site: "blocks.1.hook_resid_post", vector: floorAt(0, 0).vector };
    const probed = await generate(model, tokens, { ...greedy, hooks: [probe] }).result;
    expect(again.usage.cached_tokens).toBeGreaterThanOrEqual(32);
    expect(again.tokens).toEqual(first.tokens);
    expect(capped.usage.cached_tokens).toBe(0);
    expect(probed.usage.cached_tokens).toBe(again.usage.cached_tokens);
    expect(probed.tokens).toEqual(first.tokens);
  });

  it("does not share what a hook on the last position changed", async () => {
    const hooks: Hook[] = [{ ...floorAt(0, 5), positions: "last" } as Hook];
    const short = prompt(40, 5);
    await generate(model, short, { ...greedy, hooks }).result;
    const long = await generate(model, prompt(60, 5), { ...greedy, hooks }).result;
    expect(long.usage.cached_tokens).toBe(0);
  });

  it("takes a long prompt in chunks and other sequences meanwhile", async () => {
    const n = Math.min(model.n_ctx - 8, 600);
    const whole = await model.forward(prompt(n), { logits: "last" });
    batches.length = 0;
    const [long] = await Promise.all([
      model.forward(prompt(n), { logits: "last" }),
      generate(model, prompt(4), greedy).result,
    ]);
    expect(
      Math.max(...batches.map((batch) => batch.reduce((sum, entry) => sum + entry.tokens.length, 0))),
    ).toBeLessThanOrEqual(512);
    expect(long.logits).toEqual(whole.logits);
  });

  it("ends an aborted reply, frees its blocks, and goes on with the others", async () => {
    const { pool, prefixes } = runtimeOf(model).scheduler;
    const abort = new AbortController();
    const aborted = generate(model, prompt(10, 40), {
      temperature: 0,
      max_tokens: 200,
      signal: abort.signal,
    });
    const other = generate(model, prompt(10, 41), greedy);
    for await (const _ of aborted) {
      abort.abort();
      break;
    }
    await expect(aborted.result).rejects.toMatchObject({ code: "aborted" });
    expect((await other.result).tokens.length).toBeGreaterThan(0);
    expect(pool.used).toBe(prefixes.size);
  });

  it("fails one sequence for numbers that are not finite, never a token", async () => {
    const vector = new Float32Array(model.spec.d_model).fill(1e38);
    const hooks: Hook[] = [{ kind: "add", site: "blocks.0.hook_resid_post", vector, coefficient: 1e30 }];
    const [bad, good] = await Promise.allSettled([
      generate(model, prompt(9, 50), { ...greedy, hooks }).result,
      generate(model, prompt(9, 50), greedy).result,
    ]);
    expect(bad).toMatchObject({ status: "rejected", reason: { code: "non_finite" } });
    expect(good.status).toBe("fulfilled");
  });

  it("refuses what could never fit, before anything runs", async () => {
    expect(() => generate(model, prompt(model.n_ctx))).toThrow(CapstanError);
    await expect(model.forward(prompt(model.n_ctx + 1))).rejects.toMatchObject({ code: "context_overflow" });
    expect(() => generate(model, [])).toThrow(/at least one token or message/);
    expect(() => generate(model, [model.spec.d_vocab])).toThrow(/token ids from 0 to/);
  });
});

describe("a session", () => {
  it("continues, truncates and forks to the same numbers as one forward", async () => {
    const tokens = prompt(50, 2);
    const whole = await model.forward(tokens, { capture: ["blocks.*.hook_resid_post"], logits: "all" });
    await using session = await model.session();
    await session.forward(tokens.subarray(0, 37));
    await session.forward(prompt(5, 60));
    session.truncate(37);
    await using fork = await session.fork();
    for (const one of [session, fork]) {
      const rest = await one.forward(tokens.subarray(37), {
        capture: ["blocks.1.hook_resid_post"],
        logits: "all",
      });
      const d = model.spec.d_model;
      expect(
        close(
          rest.captures["blocks.1.hook_resid_post"]!,
          whole.captures["blocks.1.hook_resid_post"]!.subarray(37 * d),
        ),
      ).toBe(true);
      expect(close(rest.logits, whole.logits.subarray(37 * model.spec.d_vocab))).toBe(true);
    }
    expect(session.n_tokens).toBe(50);
  });

  it("is as it was after a call that failed", async () => {
    await using session = await model.session();
    await session.forward(prompt(20));
    const signal = AbortSignal.abort();
    await expect(session.forward(prompt(20), { signal })).rejects.toMatchObject({ code: "aborted" });
    expect(session.n_tokens).toBe(20);
    expect(() => session.truncate(21)).toThrow(/from 0 to 20/);
  });
});

function close(a: Float32Array, b: Float32Array): boolean {
  expect(a.length).toBe(b.length);
  return a.every((x, i) => Math.abs(x - b[i]!) <= 1e-5 * (1 + Math.abs(b[i]!)));
}
