import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Device, Op, Program } from "../../models/index.ts";
import { memorySource } from "../../sdk/checkpoint/source/index.ts";
import { faultyTruth } from "../../testing/faulty.ts";
import { createTruthDevice } from "../truth/index.ts";
import { checkCase } from "./index.ts";

const reference = join(import.meta.dirname, "..", "reference");

/** The truth, but for one op: the `nth` of those that `change` has anything to say about. */
function broken(nth: number, change: (op: Op) => Op | null): () => Promise<Device> {
  const program = (of: Program): Program => {
    let seen = 0;
    const ops = of.ops.map((op) => {
      const other = change(op);
      return other !== null && seen++ === nth ? other : op;
    });
    return { ...of, ops };
  };
  return faultyTruth({ program });
}

/** Other fields for one kind of op. */
function on<K extends Op["op"]>(
  kind: K,
  fields: Partial<Extract<Op, { op: K }>>,
  which: (op: Extract<Op, { op: K }>) => boolean = () => true,
): (op: Op) => Op | null {
  return (op) =>
    op.op === kind && which(op as Extract<Op, { op: K }>) ? ({ ...op, ...fields } as Op) : null;
}

/** [case, what is broken in layer 1 (or at an end), the nth of such ops, the site to be named, the op among those reported] */
const BROKEN: [string, string, (op: Op) => Op | null, number, string, RegExp][] = [
  [
    "gemma2",
    "the embedding's scale",
    on("embed", { scale: 1 }),
    0,
    "blocks.0.hook_resid_pre",
    /^embed \(model\.embed/,
  ],
  ["gemma2", "attention's scale", on("attention", { scale: 1 }), 1, "blocks.1.hook_attn_out", /^attention$/],
  [
    "gemma2",
    "the norm after attention",
    on("norm", { eps: 9 }, (op) => op.in === "delta"),
    2,
    "blocks.1.hook_attn_out",
    /^norm .*layers\.1\.post_attention_layernorm/,
  ],
  [
    "gemma2",
    "the norm before the MLP",
    on("norm", { eps: 9 }, (op) => op.in === "h"),
    3,
    "blocks.1.hook_mlp_out",
    /^norm .*layers\.1\.pre_feedforward/,
  ],
  [
    "gemma2",
    "the MLP's activation",
    on("gated_act", { activation: "silu" }),
    1,
    "blocks.1.hook_mlp_out",
    /^gated_act$/,
  ],
  [
    "gemma2",
    "the last norm",
    on("norm", { eps: 9 }, (op) => op.in === "last"),
    0,
    "logits",
    /^norm \(model\.norm/,
  ],
  ["gemma2", "the logits' softcap", on("logits", { softcap: 2 }), 0, "logits", /^logits/],
  [
    "qwen3-qk-norm",
    "rope",
    on("rope", { layout: "interleaved" }),
    1,
    "blocks.1.hook_attn_out",
    /^rope .*q_norm/,
  ],
  [
    "qwen3-moe-raw",
    "the router's shares",
    on("router", { renormalise: true }),
    0,
    "blocks.1.hook_mlp_out",
    /^router/,
  ],
  [
    "granite",
    "what is added to the stream",
    on("residual_add", { scale: 9 }),
    2,
    "blocks.1.hook_attn_out",
    /^residual_add \(its scale/,
  ],
  [
    "gpt-neox",
    "the norm of a parallel MLP",
    on("norm", { eps: 9 }, (op) => op.in === "h"),
    3,
    "blocks.1.hook_mlp_out",
    /^norm .*layers\.1\.post_attention/,
  ],
];

describe("a device broken in one op is reported by name", () => {
  it.each(BROKEN)("%s: %s", async (name, _, change, nth, site, op) => {
    const report = await checkCase(join(reference, name), { device: broken(nth, change) });
    expect(report.passed).toBe(false);
    expect(report.divergence).toMatchObject({ run: "plain", pass: "prefill", first: { site } });
    const { first } = report.divergence as { first: { ops: string[] } };
    expect(first.ops).toContainEqual(expect.stringMatching(op));
  });
});

describe("the truth is asked", () => {
  const folder = join(reference, "llama-tied");
  const right = () => Promise.resolve(createTruthDevice());

  it("about the pass that failed: hooks that are dropped in decode alone", async () => {
    const device = faultyTruth({
      entry: (entry) => (entry.tokens.length === 1 ? { ...entry, hooks: 0 } : entry),
    });
    const { divergence } = await checkCase(folder, { device });
    const described = JSON.parse(readFileSync(join(folder, "case.json"), "utf8"));
    const { site } = described.runs[1].hooks[0];
    expect(divergence).toMatchObject({ run: "floor", pass: "stepwise", first: { site } });
    const { first } = divergence as { first: { ops: string[]; token: number } };
    expect(first.ops).toEqual(["residual_add", `hooks of ${site}`]);
    expect(first.token).toBeGreaterThanOrEqual(described.runs[1].n_prompt);
  });

  it("and clears the device where it is the reference that differs", async () => {
    const files = ["config.json", "model.safetensors", "plain.safetensors", "floor.safetensors", "case.json"];
    const data = Object.fromEntries(
      files
        .filter((file) => existsSync(join(folder, file)))
        .map((file) => [file, readFileSync(join(folder, file))]),
    );
    const described = JSON.parse(data["case.json"]!.toString());
    // Another run's rows: the floor's, without its hook.
    described.runs = [{ ...described.runs[1], hooks: [] }];
    const source = memorySource({ ...data, "case.json": JSON.stringify(described) });
    const report = await checkCase(source, { device: right });
    expect(report.passed).toBe(false);
    expect(report.divergence).toMatchObject({ run: "floor", pass: "prefill", first: null });
  });

  it("of what passed only where somebody asks, and never where asked not to", async () => {
    const { divergence: unasked } = await checkCase(folder, { device: "wasm" });
    expect(unasked).toBeNull();
    const { divergence, worst } = await checkCase(folder, { device: "wasm", explain: "always" });
    expect(divergence).toEqual({ run: worst.name, pass: worst.pass, first: null });
    const device = broken(0, on("attention", { scale: 1 }));
    expect((await checkCase(folder, { device, explain: "never" })).divergence).toBeNull();
  });
});
