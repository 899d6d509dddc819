import { describe, expect, it } from "vitest";
import type { Op } from "../../models/index.ts";
import { faultyTruth } from "../../testing/faulty.ts";
import { ContractError } from "./assert.ts";
import { CONTRACT, runCheck } from "./index.ts";

/** Every word of the vocabulary must show: each of these devices passes over one, and the contract must catch it. */

type Change = (op: Op) => Op;

/** Changes the fields of one kind of op. */
function on<K extends Op["op"]>(kind: K, fields: Partial<Extract<Op, { op: K }>>): Change {
  return (op) => (op.op === kind ? { ...op, ...fields } : op);
}

const deafTo = (change: Change) =>
  faultyTruth({ program: (program) => ({ ...program, ops: program.ops.map(change) }) });

/** What is not heard, and a word of the tiny model that must tell. */
const DEAF: [string, string, Change][] = [
  ["the embedding's scale", "softcaps", on("embed", { scale: 1 })],
  ["learned positions", "learned positions", on("embed", { positions: null })],
  ["layer norms", "learned positions", on("norm", { kind: "rms" })],
  ["a norm's bias", "learned positions", on("norm", { bias: null })],
  [
    "norms after",
    "norms after alone",
    (op) => (op.op === "norm" && op.in === "delta" ? { ...op, eps: 9 } : op),
  ],
  [
    "norms of whole q and k",
    "norms of whole",
    (op) => (op.op === "norm" && op.columns ? { ...op, eps: 9 } : op),
  ],
  ["interleaved rope", "interleaved rope", on("rope", { layout: "half" })],
  ["layer norms of heads", "norms of each head", on("rope", { norm: "rms" })],
  ["q's factor", "q scaled", on("rope", { q_scale: null })],
  ["the attention's scale", "factors", on("attention", { scale: 1 })],
  ["the attention's softcap", "softcaps", on("attention", { softcap: null })],
  ["windows", "softcaps", on("attention", { window: null })],
  ["gelu by erf", "parallel, layer norms", on("act", { activation: "gelu_tanh" })],
  ["gelu by tanh", "softcaps", on("gated_act", { activation: "gelu" })],
  ["relu without its square", "a head with a bias", on("act", { activation: "relu2" })],
  ["relu's square", "relu squared", on("gated_act", { activation: "relu" })],
  ["relu's square in experts", "relu squared", on("experts", { activation: "relu" })],
  ["which shares are renormalised", "not renormalised", on("router", { renormalise: true })],
  ["the residual's scale", "factors", on("residual_add", { scale: 1 })],
  ["the head's bias", "a head with a bias", on("logits", { bias: null })],
  ["the logits' scale", "scaled logits", on("logits", { scale: 1 })],
  ["the logits' softcap", "softcaps", on("logits", { softcap: null })],
];

describe("the contract catches a device that is deaf to", () => {
  it.each(DEAF)("%s", async (_, word, change) => {
    const check = CONTRACT.find(({ name }) => name.startsWith("prefill: every site") && name.includes(word));
    expect(check, `a prefill check with ${word}`).toBeDefined();
    const create = deafTo(change);
    const found: unknown = await runCheck(check!, await create(), create).catch((error: unknown) => error);
    expect(found).toBeInstanceOf(ContractError);
  });
});
