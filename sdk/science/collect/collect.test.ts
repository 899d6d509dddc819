import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { NAMES, OPTIONS, ROLES } from "../../../testing/fakes/fake_experiment.ts";
import { calls, D_MODEL, fakeModel, N_LAYERS } from "../../../testing/fakes/fake_model.ts";
import { readAxis } from "../axis/axis.ts";
import { fit as fitAxis } from "../axis/fit.ts";
import { cap } from "../caps/caps.ts";
import { Run } from "../run/run.ts";
import { memoryStore } from "../run/store.ts";
import { type CollectOptions, collect } from "./collect.ts";
import { FLUSH_MS } from "./keep.ts";

const model = fakeModel();

/** Keys of a run's responses, by role. */
function keysOf(run: Run, role: string): string[] {
  return [...run.responses.keys()].filter((key) => key.startsWith(`${role}_`));
}

describe("a prompt that the model cannot be given", () => {
  const questions = ["how are you", "[refused] by the template", `a long one: ${"x".repeat(400)}`];
  const short = fakeModel({ n_ctx: 300 });

  it("is noted with role and question, and the rest goes on", async () => {
    const files = new Map<string, Uint8Array>();
    const run = await collect(short, { ...OPTIONS, questions, out: memoryStore(files) });
    const prompts = 14 * 3 + 5;
    expect(run.responses.size).toBe(prompts);
    expect(run.skipped).toHaveLength(2 * prompts);
    const of = (question: number) => run.skipped.find((one) => one.key === `role03_p1_q${question}_s0`);
    expect(of(1)).toEqual({
      role: "role03",
      key: "role03_p1_q1_s0",
      prompt: 1,
      question: 1,
      sample: 0,
      code: "bad_request",
      reason: "use the fake model: need messages that it takes, found another.",
    });
    expect(of(2)).toMatchObject({
      code: "context_overflow",
      reason: expect.stringContaining("at most 300 tokens"),
    });
    // Also to those who read the folder later; and once, however often it is tried.
    const before = files.get("skipped.jsonl")!.length;
    await collect(short, { ...OPTIONS, questions, out: memoryStore(files) });
    expect(files.get("skipped.jsonl")).toHaveLength(before);
    expect((await Run.open(memoryStore(files))).skipped).toEqual(run.skipped);
    await fitAxis(run, { min_count: 1 });
  });

  it("is made once it fits", async () => {
    const out = memoryStore();
    await collect(short, { ...OPTIONS, questions, out });
    const run = await collect(model, { ...OPTIONS, questions, out });
    expect(run.responses.size).toBe(2 * (14 * 3 + 5));
    expect(new Set(run.skipped.map(({ question }) => question))).toEqual(new Set([1]));
  });

  it("is an error where there is no other", async () => {
    await expect(collect(fakeModel({ n_ctx: 3 }), OPTIONS)).rejects.toMatchObject({
      code: "context_overflow",
    });
  });
});

describe("flushes", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
  afterEach(() => {
    vi.useRealTimers();
    calls.hold = undefined;
  });

  it("come a minute after a response is there, however slow the next one is", async () => {
    const out = memoryStore();
    const stop = new AbortController();
    calls.hold = (n) => (n > 3 ? new Promise(() => {}) : undefined);
    calls.generate = 0;
    const running = collect(model, { ...OPTIONS, out, concurrency: 2, signal: stop.signal }).catch(() => {});
    await vi.advanceTimersByTimeAsync(FLUSH_MS - 1000);
    const written = async () => [...(await Run.open(out)).responses.keys()].length;
    expect(await written()).toBe(0);
    await vi.advanceTimersByTimeAsync(1000);
    expect(await written()).toBe(3);
    void running;
  });

  it("that fail while nobody waits for them end the collection with their error", async () => {
    const store = memoryStore();
    const out = { ...store, append: async () => Promise.reject(new Error("no disk")) };
    calls.hold = (n, signal) => (n > 3 ? untilAborted(signal) : undefined);
    calls.generate = 0;
    const running = collect(model, { ...OPTIONS, out, concurrency: 2 }).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(FLUSH_MS + 10);
    expect(await running).toMatchObject({ message: "no disk" });
  });
});

function untilAborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(new Error("aborted"))));
}

describe("subsets", () => {
  it.each([
    [{ only_roles: ["role03", "role01"] }, ["role01", "role03"]],
    [{ only_roles: [{ start: 0, end: 2 }, "role13"] }, ["role00", "role01", "role13"]],
    [{ only_roles: ["default", "role02"] }, ["role02"]],
  ])("of roles: %j", async (option, names) => {
    const run = await collect(model, { ...OPTIONS, ...option, limit: 1 });
    expect(Object.keys(run.manifest.roles)).toEqual(["default", ...names]);
    // What is collected of a role does not depend on the others.
    const all = await collect(model, { ...OPTIONS, limit: 1 });
    for (const key of run.responses.keys()) {
      expect((await run.response(key))!.text).toBe((await all.response(key))!.text);
    }
  });

  it.each([
    [{ only_questions: [2, 0] }, [0, 2]],
    [{ only_questions: ["1"] }, [1]],
    [{ only_questions: [{ start: 1, end: 3 }] }, [1, 2]],
  ])("of questions: %j", async (option, ids) => {
    const run = await collect(model, { ...OPTIONS, ...option });
    expect(run.manifest.questions.map(({ id }) => id)).toEqual(ids);
    expect(keysOf(run, "role00")).toHaveLength(3 * ids.length);
  });

  it("of questions a role: as many for each, spread over the list, from a start of its own", async () => {
    const questions = Array.from({ length: 30 }, (_, i) => `question ${i}`);
    const run = await collect(model, { ...OPTIONS, questions, questions_per_role: 4 });
    const asked = new Map<string, number[]>();
    for (const { role, question } of run.responses.values()) {
      const own = asked.get(role) ?? [];
      if (!own.includes(question as number)) own.push(question as number);
      asked.set(role, own);
    }
    for (const [role, ids] of asked) {
      expect(ids, role).toHaveLength(4);
      const gaps = ids
        .sort((a, b) => a - b)
        .slice(1)
        .map((id, i) => id - ids[i]!);
      expect(Math.min(...gaps), role).toBeGreaterThanOrEqual(7);
      expect(keysOf(run, role)).toHaveLength(4 * (role === "default" ? 5 : 3));
    }
    expect(new Set(Array.from(asked.values(), (ids) => ids.join())).size).toBeGreaterThan(3);
    expect(asked.get("default")).toEqual([0, 7, 15, 22]);
  });

  it("may grow by roles in the same folder", async () => {
    const out = memoryStore();
    await collect(model, { ...OPTIONS, out, only_roles: ["role01", "role05"] });
    const grown = await collect(model, { ...OPTIONS, out });
    const whole = await collect(model, OPTIONS);
    const axes = await Promise.all([grown, whole].map((run) => fitAxis(run, { min_count: 4 })));
    expect(axes[0]!.toBytes()).toEqual(axes[1]!.toBytes());
    expect(Object.keys((await Run.open(out)).manifest.roles)).toHaveLength(15);
  });

  it.each([
    [
      { only_roles: ["role1"] },
      /need roles of those that are there \(role00, .*\), found "role1". Is role\d+ meant\?/,
    ],
    [{ only_roles: [{ start: 3, end: 15 }] }, /need roles within 0:14, found 3:15/],
    [{ only_roles: [] }, /need only_roles to be a list of names, ids or ranges/],
    [{ only_roles: [{ start: 3, end: 3 }] }, /need only_roles to be/],
    [{ only_roles: ["default"] }, /at least one role beside the default/],
    [{ only_questions: [7] }, /need questions of those that are there \(0, 1, 2\), found 7/],
    [{ questions_per_role: 0 }, /questions_per_role to be a whole number from 1/],
    [{ layers: [] }, /at least one layer/],
    [{ layers: [4] }, /a layer of 0 to 3, found 4/],
    [{ layers: { start: 2, end: 9 } }, /layers \{ start, end \}/],
    [{ skip_bad_roles: 1 }, /skip_bad_roles to be true or false/],
    [{ model_name: 7 }, /model_name to be a text/],
    [{ concurrency: 0 }, /concurrency to be a whole number from 1/],
  ])("refuses %j", async (wrong, message) => {
    await expect(collect(model, { ...OPTIONS, ...(wrong as CollectOptions) })).rejects.toThrow(message);
  });
});

describe("layers", () => {
  const layers = [1, 3];

  it("that are not kept cost nothing, and the others are what they are with all", async () => {
    const [some, all] = await Promise.all([collect(model, { ...OPTIONS, layers }), collect(model, OPTIONS)]);
    const axes = await Promise.all([some, all].map((run) => fitAxis(run, { min_count: 4 })));
    const [a, b] = [axes[0]!, axes[1]!];
    expect([a.layers, b.layers]).toEqual([layers, [0, 1, 2, 3]]);
    for (const layer of layers) {
      expect(a.layer(layer)).toEqual(b.layer(layer));
      expect(a.cos_pc1[layer]).toBe(b.cos_pc1[layer]);
      expect(a.percentile(layer, 25)).toBe(b.percentile(layer, 25));
      expect(a.points(layer)).toEqual(b.points(layer));
    }
    expect([a.target_layer, b.target_layer]).toEqual([1, 2]);
    const read = await readAxis(a.toBytes());
    expect(read.layers).toEqual(layers);
    expect(() => read.layer(2)).toThrow(/need a layer that was collected \(1, 3\), found 2/);
    expect(() => cap(read, { layers: { start: 1, end: 3 }, percentile: 25 })).toThrow(
      /a layer that was collected/,
    );
    expect(cap(read, { layers: { start: 3, end: 4 }, percentile: 25 }).hooks).toHaveLength(1);
    await expect(fitAxis(some, { min_count: 4, target_layer: 2 })).rejects.toThrow(
      /a layer that was collected/,
    );
  });

  it("are half the bytes for half of them, and may not change", async () => {
    const size = async (options: CollectOptions) => {
      const files = new Map<string, Uint8Array>();
      await collect(model, { ...OPTIONS, ...options, limit: 3, out: memoryStore(files) });
      const shards = [...files].filter(([name]) => name.startsWith("activations/"));
      return { files, bytes: shards.reduce((sum, [, { length }]) => sum + length, 0) };
    };
    const [half, whole] = [await size({ layers: { start: 2, end: 4 } }), await size({})];
    expect(whole.bytes - half.bytes).toBe(45 * (N_LAYERS / 2) * D_MODEL * 4);
    const changed = collect(model, { ...OPTIONS, limit: 3, out: memoryStore(half.files) });
    await expect(changed).rejects.toThrow(/need layers \[2,3\], found "?absent"?/);
  });

  it("are read in a second pass, too", async () => {
    const run = await collect(model, { ...OPTIONS, layers, limit: 2 });
    const lines: string[] = [];
    for await (const { activation: _, ...rest } of run.read()) lines.push(JSON.stringify(rest));
    const out = memoryStore(
      new Map([["responses.jsonl", new TextEncoder().encode(`${lines.join("\n")}\n`)]]),
    );
    const again = await collect(model, { ...OPTIONS, layers, limit: 2, mode: "text", out });
    for await (const { data, responses } of again.activations()) {
      expect(data).toHaveLength(responses.length * N_LAYERS * D_MODEL);
      expect(data.subarray(0, D_MODEL).every((x) => x === 0)).toBe(true);
      expect(data.subarray(D_MODEL, 2 * D_MODEL).some((x) => x !== 0)).toBe(true);
    }
  });
});

describe("the model's own", () => {
  it.each([
    ["Qwen/Qwen3-0.6B", "Qwen"],
    ["meta-llama/Llama-3.3-70B-Instruct", "Llama"],
    ["gemma-2-27b-it", "Gemma"],
    ["DeepSeek-R1-Distill-Llama-8B", "Llama"],
    ["HuggingFaceTB/SmolLM2-135M-Instruct", "SmolLM2"],
    ["capstan-tiny", "capstan"],
  ])("name in prompts: %s is %s", async (id, name) => {
    const run = await collect(fakeModel({ id }), { ...OPTIONS, only_roles: ["role00"], limit: 5 });
    expect((await run.response("default_p3_q0_s0"))!.messages[0]!.content).toBe(`You are ${name}.`);
    expect(run.manifest.model_name).toBe(name);
  });

  it("name may be given, and is then the run's", async () => {
    const out = memoryStore();
    const options = { ...OPTIONS, only_roles: ["role00"], limit: 5, out };
    const run = await collect(model, { ...options, model_name: "Nova" });
    expect((await run.response("default_p3_q0_s0"))!.messages[0]!.content).toBe("You are Nova.");
    await expect(collect(model, options)).rejects.toThrow(/need model_name "Nova", found "fake"/);
  });

  it("thinking is off where the template has that switch, unless it is asked for", async () => {
    const argsOf = async (chat_template: string, given?: CollectOptions["template_args"]) => {
      const options = { ...OPTIONS, limit: 1, ...(given === undefined ? {} : { template_args: given }) };
      return (await collect(fakeModel({ chat_template }), options)).manifest.template_args;
    };
    const thinks = "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}";
    expect(await argsOf(thinks)).toEqual({ enable_thinking: false });
    expect(await argsOf(thinks, { enable_thinking: true, x: 1 })).toEqual({ enable_thinking: true, x: 1 });
    expect(await argsOf("{{ messages }}", { x: 1 })).toEqual({ x: 1 });
    expect(await argsOf("{% set enable_thinking = 1 %}{{ enable_thinking }}")).toEqual({});
    expect(await argsOf("enable_thinking {% no jinja")).toEqual({});
  });

  it("template must be the one that the run was begun with", async () => {
    const out = memoryStore();
    await collect(fakeModel({ chat_template: "one" }), { ...OPTIONS, limit: 1, out });
    const other = collect(fakeModel({ chat_template: "other" }), { ...OPTIONS, limit: 1, out });
    await expect(other).rejects.toThrow(
      /continue run in memory: need template "[0-9a-f]{8}", found "[0-9a-f]{8}"/,
    );
  });
});

describe("roles in files", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "capstan-roles-"));
    for (const name of NAMES.slice(0, 3))
      await writeFile(join(folder, `${name}.json`), JSON.stringify(ROLES[name]));
    await writeFile(join(folder, "bard.json"), "{ not json");
    await writeFile(join(folder, "clerk.json"), '{"instruction": []}');
  });
  afterEach(() => rm(folder, { recursive: true }));
  const options = { ...OPTIONS, limit: 1 };

  it("that are bad are an error, which names the first with its path and the others", async () => {
    const refused = collect(model, { ...options, roles: folder });
    await expect(refused).rejects.toMatchObject({
      code: "bad_file",
      message: `read ${join(folder, "bard.json")}: need JSON, found "{ not json". Also bad: clerk. skip_bad_roles (--skip_bad_roles) goes on with the others.`,
    });
  });

  it("that are bad are left out and noted on request", async () => {
    const out = memoryStore();
    const run = await collect(model, { ...options, roles: folder, skip_bad_roles: true, out });
    expect(Object.keys(run.manifest.roles)).toEqual(["default", ...NAMES.slice(0, 3)]);
    expect(run.skipped).toEqual([
      { role: "bard", code: "bad_file", reason: expect.stringContaining("bard.json: need JSON") },
      { role: "clerk", code: "bad_file", reason: expect.stringContaining("clerk.json: need instruction") },
    ]);
    // Once the file is right, the same folder takes the role in.
    await writeFile(join(folder, "bard.json"), JSON.stringify(ROLES[NAMES[5]!]));
    const judge = { ...(OPTIONS.judge as object), roles: { ...bands(), bard: { min: 0, max: 4 } } };
    const again = await collect(model, {
      ...options,
      judge: judge as never,
      roles: folder,
      skip_bad_roles: true,
      out,
    });
    expect(again.skipped.map(({ role }) => role)).toEqual(["clerk"]);
    expect(keysOf(again, "bard")).toHaveLength(1);
  });

  it("are read of those that are asked for alone", async () => {
    const run = await collect(model, { ...options, roles: folder, only_roles: [NAMES[1]!] });
    expect(Object.keys(run.manifest.roles)).toEqual(["default", NAMES[1]]);
  });

  it("may be given one by one, or lie in `instructions` as published", async () => {
    const files = NAMES.slice(0, 2).map((name) => join(folder, `${name}.json`));
    for (const roles of [files, files[0]!]) {
      const run = await collect(model, { ...options, roles });
      expect(Object.keys(run.manifest.roles).slice(1)).toEqual(NAMES.slice(0, [roles].flat().length));
    }
    await mkdir(join(folder, "up", "instructions"), { recursive: true });
    await writeFile(join(folder, "up", "role_list.json"), "[]");
    await writeFile(join(folder, "up", "instructions", "role00.json"), JSON.stringify(ROLES.role00));
    const run = await collect(model, { ...options, roles: join(folder, "up") });
    expect(Object.keys(run.manifest.roles)).toEqual(["default", "role00"]);
  });

  it("of which none can be used are an error in any case", async () => {
    const refused = collect(model, {
      ...options,
      roles: folder,
      only_roles: ["bard", "clerk"],
      skip_bad_roles: true,
    });
    await expect(refused).rejects.toMatchObject({
      code: "bad_file",
      message: expect.stringContaining("bard.json"),
    });
  });
});

function bands(): Record<string, unknown> {
  return (OPTIONS.judge as { roles: Record<string, unknown> }).roles;
}
