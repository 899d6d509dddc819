import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWasmDevice } from "../../core-wasm/index.ts";
import type { SampleParams } from "../../models/index.ts";
import { pipelined } from "../../testing/pipelined.ts";
import { folderSource } from "../checkpoint/source/index.ts";
import { loadOn } from "../inference/load.ts";
import { engine } from "../platform/engine.ts";
import { packageFile } from "../platform/index.ts";
import type { FileSource, Model } from "../types.ts";
import type { Axis } from "./axis/axis.ts";
import { fit } from "./axis/fit.ts";
import { cap } from "./caps/caps.ts";
import { collect } from "./collect/collect.ts";
import { evaluate } from "./evaluate/evaluate.ts";
import { JUDGE_DEFAULTS, type JudgeFunction } from "./judge/index.ts";
import { readLayer } from "./layers.ts";
import { drift } from "./project/drift.ts";
import { project } from "./project/project.ts";
import type { Run } from "./run/run.ts";

/**
 * What the science does where nobody says otherwise, against what was published (DESIGN, section 3): on a model without a
 * recipe, whose own generation_config.json wants everything else.
 */

const PUBLISHED = {
  collect: { temperature: 0.7, top_p: 0.9, max_tokens: 512, samples: 1, seed: 0 },
  /** What the device is asked to draw with, float32 aside: top-k, min-p and penalties are off. */
  draws: {
    temperature: 0.7,
    top_k: 0,
    top_p: 0.9,
    min_p: 0,
    repetition_penalty: 1,
    frequency_penalty: 0,
    presence_penalty: 0,
    logit_bias: [],
  },
  evaluate: { temperature: 0, repetition_penalty: 1, frequency_penalty: 0, presence_penalty: 0 },
  /** Of responses fully in role, which is score 3. */
  min_count: 50,
  percentile: 25,
  /** Percentile of the collected responses below which a turn is an alert. */
  threshold: 25,
  /** The middle of capstan-tiny's eight layers. */
  target_layer: 4,
  judge: { temperature: 1, max_tokens: 10 },
} as const;

/** The settings of the model itself, none of which may show. */
const OTHERS = {
  temperature: 0.3,
  top_k: 7,
  top_p: 0.5,
  min_p: 0.2,
  repetition_penalty: 1.4,
  do_sample: true,
};

const QUESTIONS = Array.from({ length: 10 }, (_, i) => ({
  id: String(i),
  question: `What is ${i} and ${i}?`,
}));
const prompts = (role: string) => Array.from({ length: 5 }, (_, i) => ({ pos: `You are a ${role}, ${i}.` }));
const ROLES = Object.fromEntries(
  ["default", "pirate", "nurse", "jester"].map((role) => [role, { instruction: prompts(role) }]),
);

let model: Model;
const drawn: SampleParams[] = [];

/** The embedded model's folder, its recipe left out and its sampling another. */
async function plainFolder(): Promise<FileSource> {
  const folder = await folderSource(packageFile("models/capstan-tiny"));
  const own = JSON.parse(
    new TextDecoder().decode(
      await folder.read("generation_config.json", 0, (await folder.size("generation_config.json"))!),
    ),
  );
  const files: Record<string, Uint8Array | undefined> = {
    "capstan.json": undefined,
    "generation_config.json": new TextEncoder().encode(JSON.stringify({ ...own, ...OTHERS })),
  };
  return {
    size: async (name) => (name in files ? files[name]?.length : await folder.size(name)),
    read: async (name, start, end) =>
      name in files ? files[name]!.subarray(start, end) : await folder.read(name, start, end),
  };
}

beforeAll(async () => {
  const on_step: NonNullable<Parameters<typeof pipelined>[1]>["on_step"] = (batch) => {
    for (const { sample } of batch) if (sample !== null) drawn.push(sample);
  };
  model = await loadOn(await plainFolder(), {}, async () =>
    pipelined(createWasmDevice(await engine()), { n_in_flight: 1, on_step }),
  );
});
afterAll(() => model.dispose());

describe("published defaults", () => {
  it("collect draws as published, whatever the model's own settings are", async () => {
    expect(model.defaults).toMatchObject({ temperature: 0.3, top_k: 7, repetition_penalty: 1.4 });
    drawn.length = 0;
    const run = await collect(model, {
      roles: ROLES,
      questions: QUESTIONS.slice(0, 1),
      limit: 1,
      judge: "all",
    });
    const { sampling, seed } = run.manifest;
    expect({ ...sampling, seed }).toEqual(PUBLISHED.collect);
    expect(drawn.length).toBeGreaterThan(3);
    for (const params of drawn) expect(params).toMatchObject(PUBLISHED.draws);
  });

  it("evaluate draws greedily, without the model's penalties", async () => {
    drawn.length = 0;
    const check = { kind: "contains", value: "4" } as const;
    const messages = [{ role: "user", content: "What is 2 and 2?" }];
    await evaluate(model, {
      suites: [{ id: "one", suite: "sums", messages, check, max_tokens: 4 }],
      caps: null,
    });
    expect(drawn.length).toBeGreaterThan(0);
    for (const params of drawn) expect(params).toMatchObject(PUBLISHED.evaluate);
  });

  it("an endpoint is asked as published", () => {
    expect(JUDGE_DEFAULTS).toMatchObject(PUBLISHED.judge);
  });

  describe("of what is fitted", () => {
    let run: Run;
    let axis: Axis;
    beforeAll(async () => {
      // 50 responses a role; one of the jester's is not fully in role.
      const judge: JudgeFunction = ({ role, prompt, question }) =>
        role === "jester" && prompt === 0 && question === "0" ? 2 : 3;
      run = await collect(model, {
        roles: ROLES,
        questions: QUESTIONS,
        max_tokens: 2,
        judge,
      });
      axis = await fit(run);
    });

    it("a role counts from 50 responses fully in role", () => {
      expect(axis.data.made.min_count).toBe(PUBLISHED.min_count);
      expect(axis.roles).toEqual(["nurse", "pirate"]);
      expect(axis.left_out.map(({ role }) => role)).toEqual(["jester"]);
    });

    it("caps are at percentile 25 of all collected responses", () => {
      const caps = cap(axis);
      expect(caps.percentile).toBe(PUBLISHED.percentile);
      for (const [i, layer] of [...caps.data.layers].entries())
        expect(caps.data.floors[i]).toBe(Math.fround(axis.percentile(layer, PUBLISHED.percentile)));
    });

    it("the published layer is read, or the middle one", () => {
      expect([46, 64, 80].map(readLayer)).toEqual([22, 32, 40]);
      expect([axis.target_layer, model.spec.n_layers]).toEqual([PUBLISHED.target_layer, 8]);
    });

    it("turns below percentile 25 are alerts", async () => {
      const expected = axis.percentile(PUBLISHED.target_layer, PUBLISHED.threshold);
      const talk = [
        { role: "user", content: "Hello" },
        { role: "assistant", content: "Good day to you" },
      ];
      expect((await project(model, talk, { axis })).threshold).toBe(expected);
      const played = await drift(model, { name: "x", turns: ["Hello"] }, { axis, max_tokens: 2 });
      expect(played.threshold).toBe(expected);
    });
  });
});
