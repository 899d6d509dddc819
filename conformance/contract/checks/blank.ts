import { itemAt } from "../../../models/certain.ts";
import type { SampleParams } from "../../../models/index.ts";
import { type Fill, type Tiny, tiny } from "../tiny.ts";
import type { Twin } from "../twin.ts";

/** Vocabulary of the blank models. */
export const N_BLANK = 40;

const config = {
  model_type: "llama",
  hidden_size: 16,
  num_attention_heads: 2,
  num_hidden_layers: 1,
  intermediate_size: 16,
  vocab_size: N_BLANK,
  max_position_embeddings: 64,
};

/** All zero but the norms: every logit is exactly 0, so biases alone make the distribution. */
export const BLANK: Tiny = tiny("blank", "F32", config, ({ name, shape }) =>
  new Float32Array(shape.reduce((a, b) => a * b)).fill(name.endsWith("norm.weight") ? 1 : 0),
);

/**
 * Token t's embedding is coordinate t mod 16 and nothing is added to it, so x is 4 there; the head reads
 * coordinates [0, 4) as logits: t = 0 rising with the id about 0, 1 falling, 2 overflows float32, 3 all equal.
 */
export const DIAL: Tiny = tiny("dial", "F32", config, dialFill());

function dialFill(): Fill {
  return ({ name, shape }) => {
    const values = new Float32Array(shape.reduce((a, b) => a * b));
    if (name.endsWith("norm.weight")) return values.fill(1);
    if (name === "model.embed_tokens.weight") for (let t = 0; t < N_BLANK; t++) values[t * 16 + (t % 16)] = 1;
    if (name !== "lm_head.weight") return values;
    for (let id = 0; id < N_BLANK; id++) {
      const rising = (id - 20.5) / 32;
      values.set([rising, -rising, id === 5 ? 3e38 : 0, 0.25], id * 16);
    }
    return values;
  };
}

/** Scores as biases: what is not named gets a score far below. */
export function only(scores: Record<number, number>): SampleParams["logit_bias"] {
  return Array.from({ length: N_BLANK }, (_, id) => ({ id, bias: scores[id] ?? -1e4 }));
}

/** Tokens drawn with each of `params`, many to a step, on the device under test and compared with the truth's. */
export async function drawEach(twin: Twin, params: readonly SampleParams[], token = 0): Promise<number[]> {
  const drawn: number[] = [];
  for (let start = 0; start < params.length; start += 50) {
    const sequences = params.slice(start, start + 50).map(() => twin.sequence());
    const results = await twin.step(
      sequences.map((sequence, i) => ({
        sequence,
        tokens: [token],
        sample: itemAt(params, start + i),
        logits: "none",
      })),
    );
    drawn.push(...results.map(({ device }) => device.token));
    for (const sequence of sequences) twin.free(sequence);
  }
  return drawn;
}
