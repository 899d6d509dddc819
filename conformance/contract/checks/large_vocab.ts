import { itemAt } from "../../../models/certain.ts";
import type { SampleParams } from "../../../models/index.ts";
import { distribution, penalise } from "../../truth/ops/sample.ts";
import { check } from "../assert.ts";
import type { Check } from "../check.ts";
import { GREEDY, sampling } from "../params.ts";
import { Random } from "../random.ts";
import { tiny } from "../tiny.ts";
import type { Twin } from "../twin.ts";
import { drawEach } from "./blank.ts";

const D_VOCAB = 1543;

/** As the blank model, with a vocabulary in which likely tokens lie far apart. */
const WIDE_BLANK = tiny(
  "blank, large vocabulary",
  "F32",
  {
    model_type: "llama",
    hidden_size: 16,
    num_attention_heads: 2,
    num_hidden_layers: 1,
    intermediate_size: 16,
    vocab_size: D_VOCAB,
    max_position_embeddings: 64,
  },
  ({ name, shape }) =>
    new Float32Array(shape.reduce((a, b) => a * b)).fill(name.endsWith("norm.weight") ? 1 : 0),
);

/** The same settings over many more tokens, where a device may take other ways to the few it keeps. */
export const largeVocabChecks: Check[] = (
  [
    ["top_k", { top_k: 7 }],
    ["top_p", { top_p: 0.6 }],
    ["min_p", { min_p: 0.3 }],
    ["all of them and a temperature", { temperature: 0.8, top_k: 150, top_p: 0.9, min_p: 0.05 }],
    ["no limit", {}],
  ] as const
).map(([name, settings]) => ({
  name: `a large vocabulary: ${name}`,
  tiny: WIDE_BLANK,
  run: (twin) => keepsTheDistribution(twin, settings),
}));

largeVocabChecks.push({ name: "a large vocabulary: greedy", tiny: WIDE_BLANK, run: greedyFarOut });

/** No token outside what is kept, and the likeliest as often as it should be. */
async function keepsTheDistribution(twin: Twin, settings: Partial<SampleParams>): Promise<void> {
  const random = new Random(77);
  const logit_bias = Array.from({ length: D_VOCAB }, (_, id) => ({ id, bias: 2.5 * random.normal() }));
  const params = sampling({ ...settings, logit_bias });
  const { ids, probs } = distribution(penalise(new Float64Array(D_VOCAB), params), params);
  const n = 120;
  const drawn = await drawEach(
    twin,
    Array.from({ length: n }, (_, draw) => ({ ...params, seed: [5, 6] as const, draw })),
  );
  const kept = new Set(ids);
  for (const id of drawn) check(kept.has(id), `drew ${id}, which is not among the ${ids.length} kept`);
  // The upper half of the probability: five standard deviations.
  let half = 0;
  let share = 0;
  while (share < 0.5) share += itemAt(probs, half++);
  const upper = new Set(ids.slice(0, half));
  const got = drawn.filter((id) => upper.has(id)).length / n;
  const tolerance = 5 * Math.sqrt((share * (1 - share)) / n);
  check(
    Math.abs(got - share) <= tolerance,
    `the ${half} likeliest were drawn in ${got}, expected ${share.toFixed(3)}`,
  );
}

async function greedyFarOut(twin: Twin): Promise<void> {
  const places = [0, 1, 63, 64, 1023, 1024, 1535, 1536, 1541, 1542];
  const params = places.map((id) => ({ ...GREEDY, logit_bias: [{ id, bias: 1 }] }));
  const drawn = await drawEach(twin, params);
  check(drawn.join() === places.join(), `greedy gave ${drawn.join()}, expected ${places.join()}`);
}
