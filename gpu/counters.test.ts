import { beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../testing/parts.ts";
import type { counts } from "../testing/runtimes/counts.ts";
import { denoRuntime } from "../testing/runtimes/runtimes.ts";

/** Nothing is made once a kind of step has run: buffers, pipelines and bind groups are kept. */
const STEADY = { buffers: 0, buffer_bytes: 0, buffers_created: 0, pipelines: 0, bind_groups: 0 };
/** One pass, one write, one submit, one readback. */
const ONCE = { ...STEADY, passes: 1, submits: 1, writes: 1, readbacks: 1 };
/** Bytes read back for an entry: whether its numbers were finite, and its token. */
const ENTRY = 8;
/** The sizes of the model that steps are counted on. */
const D_MODEL = 32;
const PADDED_VOCAB = 64;

describe.skipIf(lacks("vulkan") || lacks("deno"))("on WebGPU", () => {
  let found: Awaited<ReturnType<typeof counts>>;
  /** Eight a layer; one for the embedding, three for the last norm, the logits and the draw. */
  let dispatches: number;
  beforeAll(async () => {
    await using deno = denoRuntime();
    found = await deno.run("counts", { source: "conformance/reference/llama-gqa-untied" });
    dispatches = 8 * found.n_layers + 4;
  }, 300_000);

  it("a token costs one pass, one write, one submit and the readback of its id", () => {
    expect(found.steps["a token"]).toEqual({ ...ONCE, dispatches, readback_bytes: ENTRY });
  });

  it("a batch of tokens, and a prompt, cost no more of them", () => {
    expect(found.steps["eight tokens"]).toEqual({ ...ONCE, dispatches, readback_bytes: 8 * ENTRY });
    expect(found.steps["a prompt"]).toEqual({ ...ONCE, dispatches, readback_bytes: ENTRY });
  });

  it("hooks of every kind on every residual site add no dispatch, submit or readback", () => {
    const projections = 4 * 3 * found.n_layers;
    const expected = { ...ONCE, dispatches };
    expect(found.steps["a token with hooks"]).toEqual({ ...expected, readback_bytes: ENTRY + projections });
    expect(found.steps["eight tokens, half with hooks"]).toEqual({
      ...expected,
      readback_bytes: 8 * ENTRY + 4 * projections,
    });
    expect(found.steps["a prompt with hooks"]).toEqual({
      ...expected,
      readback_bytes: ENTRY + 40 * projections,
    });
  });

  it("captures and logits come with the same readback", () => {
    const expected = { ...ONCE, dispatches };
    expect(found.steps["a token with a capture"]).toEqual({
      ...expected,
      readback_bytes: ENTRY + 4 * D_MODEL,
    });
    expect(found.steps["a token with logits"]).toEqual({
      ...expected,
      readback_bytes: ENTRY + 4 * PADDED_VOCAB,
    });
  });

  it("a mean stays on the GPU, for one dispatch", () => {
    expect(found.steps["a token with penalties and a mean"]).toEqual({
      ...ONCE,
      dispatches: dispatches + 1,
      readback_bytes: ENTRY,
    });
  });

  it("replies cost a step a token, however many run together", () => {
    const steps = { ...STEADY, passes: 8, submits: 8, writes: 8, readbacks: 8 };
    expect(found.verbs["a reply of 8 tokens"]).toMatchObject({ ...steps, readback_bytes: 8 * ENTRY });
    expect(found.verbs["four replies"]).toMatchObject({ ...steps, readback_bytes: 4 * 8 * ENTRY });
  });

  it("means of replies and texts that end together are read back together", () => {
    // The last token is fed too, for its part of the mean.
    const steps = { ...STEADY, passes: 9, submits: 9 + 1, writes: 9, readbacks: 9 + 1 };
    expect(found.verbs["four replies with means"]).toMatchObject(steps);
    expect(found.verbs["means of four texts"]).toMatchObject({
      ...STEADY,
      passes: 1,
      submits: 1 + 1,
      writes: 1,
      readbacks: 1 + 1,
    });
  });

  it("a model that is disposed of leaves no buffer", () => {
    expect(found.left).toMatchObject({ buffers: 0, buffer_bytes: 0 });
  });
});
