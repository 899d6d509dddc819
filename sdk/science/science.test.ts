import { describe, expect, it } from "vitest";
import { JUDGE, NAMES, OPTIONS, ROLES } from "../../testing/fakes/fake_experiment.ts";
import { D_MODEL, fakeModel, N_LAYERS, plantedAxis } from "../../testing/fakes/fake_model.ts";
import type { Model } from "../types.ts";
import { Axis, checkDtype, checkFits, readAxis } from "./axis/axis.ts";
import { fit as fitAxis } from "./axis/fit.ts";
import { cap, randomControl, readCaps } from "./caps/caps.ts";
import { type CollectOptions, collect } from "./collect/collect.ts";
import { publishedRange } from "./layers.ts";
import { cosine } from "./numbers/vectors.ts";
import { drift } from "./project/drift.ts";
import { project } from "./project/project.ts";
import type { Run } from "./run/run.ts";
import { memoryStore, type RunStore } from "./run/store.ts";

const model = fakeModel();
const run = await collect(model, OPTIONS);
const axis = await fitAxis(run, { min_count: 4 });

describe("collect", () => {
  it("makes roles x prompts x questions, the default role beside", async () => {
    expect(run.responses.size).toBe(14 * 3 * 3 + 5 * 3);
    const first = (await run.response("default_p0_q1_s0"))!;
    expect(first.messages).toEqual([{ role: "user", content: "what is new" }]);
    expect((await run.response("default_p3_q0_s0"))!.messages[0]!.content).toBe("You are fake.");
    expect(run.responses.get("role00_p1_q2_s0")).toMatchObject({ group: "near", prompt: 1, question: 2 });
    expect(run.scores.size).toBe(14 * 3 * 3);
  });

  it("gives every response a seed of its own, whatever else is collected", async () => {
    const few = await collect(model, { ...OPTIONS, roles: { role03: ROLES.role03! }, concurrency: 1 });
    const [one, other] = await Promise.all([few, run].map((of) => of.response("role03_p1_q1_s0")));
    expect(one!.text).toBe(other!.text);
    expect(new Set(Array.from(run.responses.values(), ({ seed }) => seed)).size).toBe(run.responses.size);
  });

  it("reads the same activations in a second pass over the texts", async () => {
    const again = await collect(model, { ...OPTIONS, mode: "text", out: await textsOnly(run) });
    const [made, read] = await Promise.all([activationsOf(run), activationsOf(again)]);
    expect(read.size).toBe(run.responses.size);
    for (const [key, values] of made) {
      const other = read.get(key)!;
      for (const [i, value] of values.entries()) expect(Math.abs(other[i]! - value)).toBeLessThan(1e-5);
    }
  });

  it("joins the prompt to the question for a model without a system role", async () => {
    const plain = await collect(fakeModel({ no_system: true }), OPTIONS);
    const { messages } = (await plain.response("role00_p0_q0_s0"))!;
    expect(messages).toEqual([
      { role: "user", content: `${ROLES.role00!.instruction[0]!.pos}\n\nhow are you` },
    ]);
  });

  it("keeps within a limit a role, spread over prompts and questions", async () => {
    const few = await collect(model, { ...OPTIONS, limit: 3 });
    const own = [...few.responses.values()].filter(({ role }) => role === "role05");
    expect(own).toHaveLength(3);
    expect(new Set(own.map(({ prompt }) => prompt)).size).toBe(3);
    expect(new Set(own.map(({ question }) => question)).size).toBe(3);
  });

  it("tells how far it is", async () => {
    const seen: number[] = [];
    await collect(model, {
      ...OPTIONS,
      limit: 1,
      on_progress: ({ phase, done, total }) => {
        if (phase === "collect") seen.push(done / total);
      },
    });
    expect(seen[0]).toBe(0);
    expect(seen.at(-1)).toBe(1);
    expect(seen).toHaveLength(16);
  });

  it.each([
    [{ roles: {} }, /at least one role/],
    [
      { roles: { a: { instruction: [] } } },
      /read role a: need instruction to be a list of at least 1, found \[\]/,
    ],
    [{ roles: undefined }, /need roles: a folder/],
    [{ roles: "no-such-folder" }, /a folder of <role>.json at no-such-folder/],
    [{ questions: [] }, /at least one question/],
    [
      {
        questions: [
          { id: 1, question: "a" },
          { id: 1, question: "b" },
        ],
      },
      /id 1 twice/,
    ],
    [{ temperature: -1 }, /need temperature to be a number from 0 to 10/],
    [{ samples: 0 }, /samples/],
    [{ judge: { ...JUDGE, roles: { other: { min: 0, max: 1 } } } }, /judge responses as "role00"/],
    [{ judge: () => 7 }, /a score of 0, 1, 2 or 3, or null for none, found 7/],
  ])("refuses %j", async (wrong, message) => {
    await expect(collect(model, { ...OPTIONS, limit: 1, ...(wrong as CollectOptions) })).rejects.toThrow(
      message,
    );
  });
});

describe("fit", () => {
  it("recovers the planted axis in every layer", () => {
    for (let layer = 0; layer < N_LAYERS; layer++) {
      expect(cosine(axis.layer(layer), plantedAxis(layer))).toBeGreaterThan(0.97);
      expect(axis.cos_pc1[layer]).toBeGreaterThan(0.95);
      expect(axis.defaultProjection(layer)).toBeGreaterThan(axis.percentile(layer, 90));
    }
    expect(axis.target_layer).toBe(2);
    expect(axis.dims70[2]).toBeLessThan(4);
  });

  it("orders the roles by their planted distance", () => {
    const points = axis.points(axis.target_layer);
    const far_first = NAMES.filter((name) => axis.roles.includes(name)).reverse();
    expect(points.map(({ role }) => role)).toEqual(far_first);
    expect(points[0]).toMatchObject({ group: "far" });
    expect(points[0]!.coordinates[0]).toBeLessThan(points.at(-1)!.coordinates[0]!);
    expect(axis.defaultCoordinates(2)[0]).toBeGreaterThan(points.at(-1)!.coordinates[0]!);
  });

  it("is the default less the mean of the roles, by hand", async () => {
    const means = new Map<string, { sum: Float64Array; n: number }>();
    for (const [key, values] of await activationsOf(run)) {
      const { role } = run.responses.get(key)!;
      if (role !== "default" && run.scores.get(key)?.score !== 3) continue;
      const mean = means.get(role) ?? { sum: new Float64Array(values.length), n: 0 };
      for (const [i, value] of values.entries()) mean.sum[i]! += value;
      mean.n += 1;
      means.set(role, mean);
    }
    const kept = axis.roles.map((role) => means.get(role)!);
    const { sum, n } = means.get("default")!;
    for (let i = 0; i < axis.data.axis.length; i++) {
      const roles = kept.reduce((total, one) => total + one.sum[i]! / one.n, 0) / kept.length;
      expect(Math.abs(axis.data.axis[i]! - (sum[i]! / n - roles))).toBeLessThan(1e-6);
    }
  });

  it("leaves out roles with too few, and says so", async () => {
    const counts = axis.data.roles.counts;
    const most = Math.max(...NAMES.map((name) => counts[name] ?? 0));
    const strict = await fitAxis(run, { min_count: most });
    expect(strict.roles.length).toBeLessThan(axis.roles.length);
    expect(Object.keys(strict.data.roles.left_out).length).toBe(14 - strict.roles.length);
    await expect(fitAxis(run, { min_count: 50 })).rejects.toThrow(/2 roles with 50 .* lower min_count/);
    await expect(fitAxis(run, { target_layer: 4 })).rejects.toThrow(/a layer of 0 to 3, found 4/);
    const unscored = await collect(model, { ...OPTIONS, limit: 2, judge: null });
    await expect(fitAxis(unscored)).rejects.toThrow(/need scored responses, found no scores/);
  });

  it("stops when aborted", async () => {
    await expect(fitAxis(run, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("cap", () => {
  it("puts the floor at the percentile of all collected projections", () => {
    const caps = cap(axis, { layers: { start: 1, end: 3 }, percentile: 25 });
    expect(caps.hooks.map(({ site }) => site)).toEqual([
      "blocks.1.hook_resid_post",
      "blocks.2.hook_resid_post",
    ]);
    const hook = caps.hooks[1]!;
    if (hook.kind !== "cap") throw new Error("not a cap");
    expect(hook.floor).toBeCloseTo(axis.percentile(2, 25), 5);
    expect(hook.ceiling).toBeUndefined();
    expect(hook.vector).toEqual(axis.layer(2));
    const below = [...projectionsAt(axis, 2)].filter((p) => p < hook.floor!).length;
    expect(below / run.responses.size).toBeCloseTo(0.25, 1);
  });

  it("takes tau outright, and the recipe's choice when nothing is said", async () => {
    const caps = cap(axis, { layers: { start: 0, end: 2 }, tau: [1, -2] });
    expect([...caps.data.floors]).toEqual([1, -2]);
    expect(caps.percentile).toBeNull();
    const files = {
      "capstan.json": JSON.stringify({ cap: { layers: { start: 2, end: 4 }, percentile: 50 } }),
    };
    const other = await fitAxis(await collect(fakeModel({ files }), OPTIONS), { min_count: 4 });
    expect(cap(other)).toMatchObject({ layers: { start: 2, end: 4 }, percentile: 50 });
  });

  it("has a default range at the depths that the paper caps", () => {
    expect(cap(axis).layers).toEqual({ start: 3, end: 4 });
    expect(cap(axis).percentile).toBe(25);
    const some = { ...axis.data, layers: [0, 1] };
    expect(() => cap(new Axis(some))).toThrow(
      /none collected at the depths that the paper caps, 3:4\. Collected are 0, 1\./,
    );
    expect(cap(new Axis(some), { layers: { start: 0, end: 1 } }).layers).toEqual({ start: 0, end: 1 });
    const ranges = [1, 2, 8, 28, 30, 32, 46, 64, 72, 73, 80, 126].map((n) => {
      const { start, end } = publishedRange(n);
      return `${start}:${end} of ${n}`;
    });
    expect(ranges).toEqual([
      "0:1 of 1",
      "1:2 of 2",
      "6:7 of 8",
      "20:24 of 28",
      "22:25 of 30",
      "23:27 of 32",
      "33:39 of 46",
      "46:54 of 64",
      "52:61 of 72",
      "51:66 of 73",
      "56:72 of 80",
      "88:113 of 126",
    ]);
  });

  it.each([
    [{ start: 3, end: 3 }, 25, /0 <= start < end <= 4/],
    [{ start: 0, end: 5 }, 25, /0 <= start < end <= 4/],
    [{ start: 0, end: 1 }, 101, /a percentile of 0 to 100/],
  ])("refuses %j at p%d", (layers, percentile, message) => {
    expect(() => cap(axis, { layers, percentile })).toThrow(message);
  });

  it("makes controls as long as the axis, at the same percentile of the same responses", async () => {
    const caps = cap(axis, { layers: { start: 2, end: 3 }, percentile: 30 });
    const control = randomControl(axis, caps, 3);
    const vector = control.data.vectors;
    expect(Math.hypot(...vector)).toBeCloseTo(Math.hypot(...axis.layer(2)), 4);
    expect(Math.abs(cosine(vector, axis.layer(2)))).toBeLessThan(0.7);
    const values: number[] = [];
    for (const activation of (await activationsOf(run)).values()) {
      values.push(
        cosine(vector, activation.subarray(2 * D_MODEL, 3 * D_MODEL)) *
          Math.hypot(...activation.subarray(2 * D_MODEL, 3 * D_MODEL)),
      );
    }
    const below = values.filter((value) => value < control.data.floors[0]!).length;
    expect(below / values.length).toBeCloseTo(0.3, 1);
    expect(control.data.vectors).not.toEqual(randomControl(axis, caps, 2).data.vectors);
    expect(() => randomControl(axis, caps, 5)).toThrow(/an index below 5/);
  });
});

describe("the precision that an axis was measured in", () => {
  it("goes with axis and caps, and another one is a warning", async () => {
    const q8: Model = { ...model, asked_dtype: "q8", device: { ...model.device, dtype: "q8" } };
    const run = await collect(q8, OPTIONS);
    expect(run.manifest.model).toMatchObject({ id: model.id, dtype: "q8" });
    const own = await fitAxis(run, { min_count: 4 });
    const caps = await readCaps(cap(own).toBytes());
    expect([own.dtype, caps.dtype, caps.model.dtype]).toEqual(["q8", "q8", "q8"]);
    for (const file of [own, caps]) {
      expect(checkDtype(q8, file)).toEqual([]);
      expect(checkDtype(model, file)).toEqual([
        expect.stringMatching(/in q8, and .* runs in f32.*--dtype q8/),
      ]);
    }
    const talk = [{ role: "user", content: "hello" }];
    expect((await project(model, talk, { axis: own })).warnings).toHaveLength(1);
    expect((await project(q8, talk, { axis: own })).warnings).toEqual([]);
    const played = await drift(model, { name: "x", turns: ["hello"] }, { axis: own, caps, layer: 3 });
    expect(played.warnings).toHaveLength(1);
    // Older files do not say.
    expect(checkDtype(model, { dtype: undefined })).toEqual([]);
  });
});

describe("files", () => {
  it("an axis comes back as it was", async () => {
    const back = await readAxis(axis.toBytes());
    expect(back.data).toEqual(axis.data);
    expect(back.toBytes()).toEqual(axis.toBytes());
    expect(back.percentile(1, 33)).toBe(axis.percentile(1, 33));
  });

  it("caps come back as they were", async () => {
    const caps = cap(axis, { layers: { start: 0, end: 3 }, percentile: 10 });
    const back = await readCaps(caps.toBytes());
    expect(back.data).toEqual(caps.data);
    expect(back.hooks).toEqual(caps.hooks);
  });

  it("one is not taken for the other, nor cut short", async () => {
    const caps = cap(axis, { layers: { start: 0, end: 3 } });
    await expect(readAxis(caps.toBytes())).rejects.toThrow(/format "capstan.axis", found "capstan.cap"/);
    await expect(readCaps(axis.toBytes())).rejects.toThrow(/format "capstan.cap"/);
    await expect(readAxis(axis.toBytes().subarray(0, -1))).rejects.toMatchObject({ code: "bad_file" });
    await expect(readAxis("no/such/axis.safetensors")).rejects.toMatchObject({ code: "not_found" });
  });

  it("another digest warns, another shape fails", () => {
    expect(checkFits(model, axis, "axis")).toEqual([]);
    expect(checkFits(fakeModel({ digest: "sha256:other" }), axis, "axis")).toEqual([
      "the axis was made on fake (sha256:fake), not on fake (sha256:other)",
    ]);
    const bigger = { ...model, spec: { ...model.spec, d_model: 25 } };
    expect(() => checkFits(bigger, axis, "axis")).toThrow(/need one of 4 layers and d_model 25/);
  });
});

/** A store with the run's texts and nothing else, as another engine would leave it. */
async function textsOnly(from: Run): Promise<RunStore> {
  const lines: string[] = [];
  for await (const { activation: _, ...rest } of from.read()) lines.push(JSON.stringify(rest));
  const files = new Map([["responses.jsonl", new TextEncoder().encode(`${lines.join("\n")}\n`)]]);
  return memoryStore(files);
}

async function activationsOf(from: Run): Promise<Map<string, Float32Array>> {
  const found = new Map<string, Float32Array>();
  const size = N_LAYERS * D_MODEL;
  for await (const { responses, data } of from.activations()) {
    for (const [i, { key }] of responses.entries()) found.set(key, data.slice(i * size, (i + 1) * size));
  }
  return found;
}

function projectionsAt(of: Axis, layer: number): Float32Array {
  const { data, n } = of.data.responses.projections;
  return Float32Array.from({ length: n }, (_, i) => data[i * of.n_layers + layer]!);
}
