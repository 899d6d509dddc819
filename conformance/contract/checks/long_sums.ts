import { itemAt } from "../../../models/certain.ts";
import type { RawConfig, Site, StepResult } from "../../../models/index.ts";
import { rowError } from "../../bounds.ts";
import { check } from "../assert.ts";
import type { Check } from "../check.ts";
import { Random } from "../random.ts";
import { type Fill, randomFill, tiny } from "../tiny.ts";
import type { Twin, TwinResult, TwinSequence } from "../twin.ts";
import { idOf } from "./sites.ts";

/**
 * The mean relative error that the output of a long sum may have: what sums in blocks have and half as much again. One
 * chain of additions has twice as much or more.
 */
const MOST = 1.2e-6;

const LLAMA: RawConfig = {
  model_type: "llama",
  hidden_size: 32,
  num_attention_heads: 2,
  num_hidden_layers: 1,
  intermediate_size: 16,
  vocab_size: 61,
  max_position_embeddings: 2048,
};

const WIDE = tiny("long products, f32", "F32", { ...LLAMA, intermediate_size: 16_384 });

/** Queries of zero look at all of the past alike. */
const evenly: Fill = (spec, random) => {
  const values = randomFill(spec, random);
  return spec.name.includes("q_proj") ? values.fill(0) : values;
};
const LONG = tiny("a long past, f32", "F32", LLAMA, evenly);
const N_PAST = 1500;

/** Claims on the order of sums, which the bounds do not see: an error does not grow with the root of what is summed. */
export const longSumsChecks: Check[] = [
  {
    name: "products of 16,384 are no chain of sums, of many rows and of one",
    tiny: WIDE,
    async run(twin) {
      const sequence = twin.sequence();
      const random = new Random(3);
      for (const length of [16, 1, 1]) {
        const result = await run(twin, sequence, random.tokens(length, 61), "blocks.0.hook_mlp_out");
        near(result, length, `mlp_out of ${length} tokens`);
      }
    },
  },
  {
    name: "a past of 1,500 tokens is no chain of sums, of many rows and of one",
    tiny: LONG,
    async run(twin) {
      const sequence = twin.sequence();
      const random = new Random(4);
      await run(twin, sequence, random.tokens(N_PAST, 61));
      for (const length of [16, 1, 1]) {
        const result = await run(twin, sequence, random.tokens(length, 61), "blocks.0.hook_attn_out");
        near(result, length, `attn_out of ${length} tokens`);
      }
    },
  },
];

function run(twin: Twin, sequence: TwinSequence, tokens: Int32Array, site?: Site): Promise<TwinResult> {
  return twin.run({ sequence, tokens, captures: site === undefined ? [] : [idOf(twin, site)] });
}

function near(
  { device, truth }: { device: StepResult; truth: StepResult },
  n_rows: number,
  where: string,
): void {
  const [got, expected] = [itemAt(device.captures, 0), itemAt(truth.captures, 0)];
  const width = got.length / n_rows;
  let sum = 0;
  for (let row = 0; row < n_rows; row++) sum += rowError(expected, got, row * width, width).relative_error;
  check(sum / n_rows <= MOST, `${where}: a mean relative error of ${sum / n_rows} is over ${MOST}`);
}
