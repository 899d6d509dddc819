import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { concatFloats, type Hook } from "../../models/index.ts";
import { type ForwardResult, generate, load, type Model, type Site } from "../../sdk/index.ts";
import { lacks, real_model } from "../../testing/parts.ts";
import {
  boundAt,
  type GreedyRecord,
  kept,
  logitsError,
  normOf,
  records,
  tensors,
} from "../../testing/real_model.ts";
import { type GreedyReply, greedyReply } from "../../testing/runtimes/reply.ts";
import { nodeRuntime } from "../../testing/runtimes/runtimes.ts";
import { rowError } from "../bounds.ts";

/** Machines that share their processors take their time. */
const PATIENCE = 900_000;

/** A run of hooks.py. */
interface HooksRecord {
  name: string;
  n_prompt: number;
  tokens: number[];
  /** Tokens whose whole rows are kept. */
  rows: number[];
  sites: Site[];
  /** `vector` and `mean` are names of tensors. */
  hooks: {
    kind: Exclude<Hook["kind"], "project">;
    site: Site;
    vector: string;
    mean?: string;
    floor?: number;
    ceiling?: number;
    coefficient?: number;
    positions?: "last";
  }[];
}

describe.skipIf(lacks("real-model"))("SmolLM2-135M-Instruct on WASM", () => {
  const prompts = records<GreedyRecord>("greedy");
  let model: Model;
  let replies: GreedyReply[];
  beforeAll(async () => {
    model = await load(real_model, { device: "wasm" });
    replies = await Promise.all(prompts.map(({ prompt }) => greedyReply(model, prompt, kept.n_new)));
  }, PATIENCE);
  afterAll(() => model?.dispose());

  it.each(prompts.map(({ name }, k) => ({ name, k })))(
    "continues the prompt $name by the tokens of transformers, five in a batch",
    ({ k }) => {
      const { tokens, n_prompt } = prompts[k]!;
      const reply = replies[k]!;
      expect(reply.tokens).toEqual(tokens.slice(n_prompt));
      expect(reply.usage.prompt_tokens).toBe(n_prompt);
      expect(reply.text).toBe(model.tokenizer.decode(reply.tokens));
      expect(reply.pieces.join("")).toBe(reply.text);
    },
  );

  it(
    "gives transformers' logits for them",
    async () => {
      const of = tensors("greedy");
      const errors = await Promise.all(
        prompts.map(async ({ name, tokens, n_prompt }) => {
          await using session = await model.session();
          const rows: Float32Array[] = [];
          for (const step of kept.steps) {
            const more = tokens.slice(session.n_tokens, n_prompt + step);
            rows.push((await session.forward(more, { logits: "last" })).logits);
          }
          return { name, error: logitsError(of, name, rows, boundAt(model.spec.n_layers)) };
        }),
      );
      const parts = errors.map(({ name, error }) => `${name} ${error.toFixed(3)}`).join(", ");
      console.log(
        `real model: logits, worst row in parts of its bound ${boundAt(model.spec.n_layers)}: ${parts}`,
      );
      expect(Math.max(...errors.map(({ error }) => error))).toBeLessThanOrEqual(1);
    },
    PATIENCE,
  );

  it(
    "gives one of them the same bits alone, in a process of its own",
    async () => {
      await using node = nodeRuntime();
      const { prompt } = prompts[0]!;
      const alone = await node.run("reply", {
        device: "wasm",
        source: real_model,
        prompt,
        max_tokens: kept.n_new,
      });
      const { usage } = alone.reply;
      expect(alone.reply).toEqual({ ...replies[0], usage });
      const [mb, seconds] = [
        (bytes: number) => Math.round(bytes / 1e6),
        (ms: number) => (ms / 1000).toFixed(1),
      ];
      console.log(
        `real model: loaded in ${seconds(alone.load.elapsed_ms)} s (${seconds(alone.load.cpu_ms)} s of processor time), ` +
          `at most ${mb(alone.load.peak_bytes)} MB resident for ${mb(alone.weights)} MB of weights; ` +
          `${usage.prompt_tokens} + ${usage.completion_tokens} tokens in ${seconds(alone.generate.cpu_ms)} s of processor time, ` +
          `at most ${mb(alone.generate.peak_bytes)} MB resident`,
      );
      // A gross regression alone: a second copy of the weights.
      expect(alone.load.peak_bytes).toBeLessThan(1.9 * alone.weights);
      expect(alone.generate.peak_bytes).toBeLessThan(2.1 * alone.weights);
    },
    PATIENCE,
  );

  describe("hooks on real activations", () => {
    const runs = records<HooksRecord>("hooks");
    const of = tensors("hooks");
    const worst_of: string[] = [];
    let found: Map<string, { tokens: readonly number[]; passes: Passes }>;
    afterAll(() => console.log(`real model: hooks, worst in parts of its bound: ${worst_of.join(", ")}`));
    beforeAll(async () => {
      // All at once: each sequence of a batch has hooks of its own.
      const each = runs.map(async (run) => {
        const hooks = run.hooks.map((hook) => withVectors(hook, of));
        const [reply, passes] = await Promise.all([
          generate(model, run.tokens.slice(0, run.n_prompt), {
            hooks,
            temperature: 0,
            max_tokens: run.tokens.length - run.n_prompt,
          }).result,
          stepwise(model, run, hooks.flatMap(withReading)),
        ]);
        return [run.name, { tokens: [...reply.tokens], passes }] as const;
      });
      found = new Map(await Promise.all(each));
    }, PATIENCE);

    it("come in every kind, and on the last position", () => {
      const hooks = runs.flatMap((run) => run.hooks);
      expect(new Set(hooks.map(({ kind }) => kind))).toEqual(
        new Set(["cap", "add", "ablate", "mean_ablate"]),
      );
      const caps = hooks.filter(({ floor, ceiling }) => floor !== undefined && ceiling !== undefined);
      expect(caps.length).toBeGreaterThan(0);
      expect(hooks.filter(({ positions }) => positions === "last").length).toBeGreaterThan(1);
    });

    it.each(runs)("$name: the stream, the readings, the logits and the tokens", (run) => {
      const { tokens, passes } = found.get(run.name)!;
      expect(tokens).toEqual(run.tokens.slice(run.n_prompt));
      const errors = [
        ...run.sites.map((site) => ({ what: site, error: streamError(run, site, passes, of) })),
        ...run.hooks.map((_, k) => ({ what: `p.${k}`, error: readingError(run, k, passes, of) })),
        {
          what: "logits",
          error: logitsError(of, `${run.name}.logits`, passes.logits, boundAt(model.spec.n_layers)),
        },
      ];
      const worst = errors.reduce((a, b) => (b.error > a.error ? b : a));
      worst_of.push(`${run.name} ${worst.error.toFixed(3)} (${worst.what})`);
      expect(worst.error, JSON.stringify(errors)).toBeLessThanOrEqual(1);
    });
  });
});

/** What prefill and decode under hooks gave. */
interface Passes {
  /** By site, [n_tokens * d_model]. */
  captures: Record<Site, Float32Array>;
  /** By name, [n_tokens]. */
  projections: Record<string, Float32Array>;
  /** Of the rows that are kept, each [d_vocab]. */
  logits: Float32Array[];
}

/** A run's prompt, then its tokens one by one. */
async function stepwise(model: Model, run: HooksRecord, hooks: Hook[]): Promise<Passes> {
  await using session = await model.session({ hooks });
  const parts: ForwardResult[] = [];
  for (let end = run.n_prompt; end <= run.tokens.length; end++) {
    const tokens = run.tokens.slice(session.n_tokens, end);
    parts.push(await session.forward(tokens, { capture: run.sites, logits: "last" }));
  }
  const joined = <K extends string>(
    names: readonly K[],
    read: (part: ForwardResult, name: K) => Float32Array,
  ) =>
    Object.fromEntries(
      names.map((name) => [name, concatFloats(parts.map((part) => read(part, name)))]),
    ) as Record<K, Float32Array>;
  return {
    captures: joined(run.sites, (part, site) => part.captures[site]!),
    projections: joined(Object.keys(parts[0]!.projections), (part, name) => part.projections[name]!),
    logits: run.rows.map((row) => parts[row - run.n_prompt + 1]!.logits),
  };
}

function withVectors(
  { vector, mean, ...hook }: HooksRecord["hooks"][number],
  of: ReturnType<typeof tensors>,
): Hook {
  const named = mean === undefined ? {} : { mean: of(mean).values };
  return { ...hook, vector: of(vector).values, ...named } as Hook;
}

/** A hook with a reading `p.{k}` of what it finds: a cap's own where it has a name, else a `project` before it. */
function withReading(hook: Hook, k: number): Hook[] {
  if (hook.kind === "cap") return [{ ...hook, name: `p.${k}` }];
  return [{ kind: "project", site: hook.site, vector: hook.vector, name: `p.${k}` }, hook];
}

/** The worst of a site's rows that are kept, and of the norms of all of its rows, in parts of the bound. */
function streamError(
  run: HooksRecord,
  site: Site,
  { captures }: Passes,
  of: ReturnType<typeof tensors>,
): number {
  const got = captures[site]!;
  const { values, shape } = of(`${run.name}.${site}`);
  const d_model = shape[1]!;
  const rowOf = (row: number) => got.subarray(row * d_model, (row + 1) * d_model);
  const norms = Float32Array.from(run.tokens, (_, row) => normOf(rowOf(row)));
  const errors = [
    ...run.rows.map((row, k) => rowError(values.subarray(k * d_model), rowOf(row), 0, d_model)),
    ...run.tokens.map((_, row) => rowError(of(`${run.name}.${site}.norm`).values, norms, row, 1)),
  ];
  return Math.max(...errors.map(({ relative_error }) => relative_error)) / boundAt(blockOf(site));
}

/** The worst of a reading's tokens: p is off by what a row may be off, of the row's norm. */
function readingError(
  run: HooksRecord,
  k: number,
  { projections }: Passes,
  of: ReturnType<typeof tensors>,
): number {
  const { values } = of(`${run.name}.p.${k}`);
  const { site } = run.hooks[k]!;
  const norms = of(`${run.name}.${site}.norm`).values.slice(-values.length);
  const got = projections[`p.${k}`]!.slice(-values.length);
  return Math.max(...values.map((p, row) => Math.abs(got[row]! - p) / norms[row]!)) / boundAt(blockOf(site));
}

function blockOf(site: Site): number {
  return Number(site.split(".")[1]);
}
