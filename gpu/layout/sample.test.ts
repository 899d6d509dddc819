import { expect, it } from "vitest";
import { GREEDY } from "../../conformance/contract/params.ts";
import { SAMPLE_NUMBERS } from "../../models/sample_numbers.ts";
import { SAMPLE as KERNEL } from "../ops/sample/sample.wgsl.ts";
import { MAX_F32, NONE } from "./record.ts";
import { ADJUSTMENT, SAMPLE, withNumbers } from "./sample.ts";

/** Of what the host makes something else. */
const MADE = {
  temperature: "inverse_temperature",
  draw: "random",
  top_logprobs: "n_top",
  n_prompt: "adjustments_at",
};

const OTHERS = {
  row: 0,
  slot: 0,
  inverse_temperature: 0,
  random: 0,
  n_top: null,
  adjustments_at: 0,
  n_adjustments: 0,
  followed_slot: null,
  drawn_at: 0,
  flag_at: 0,
  saved_at: 0,
};

it("every number of SampleParams has its field, under its name or as what the host makes of it", () => {
  for (const name of Object.keys(SAMPLE_NUMBERS)) {
    const field = MADE[name as keyof typeof MADE] ?? name;
    expect(Object.keys(SAMPLE.fields)).toContain(field);
  }
});

it("the kernel reads every field", () => {
  const body = KERNEL.slice(KERNEL.indexOf("fn main("));
  for (const [prefix, { fields }] of Object.entries({ sample: SAMPLE, adjustment: ADJUSTMENT })) {
    for (const name of Object.keys(fields)) expect(body).toMatch(new RegExp(`\\b${prefix}_${name}\\(`));
  }
});

it("numbers that float32 or a u32 does not hold become the nearest that it does; NaN does not", () => {
  const far = {
    ...GREEDY,
    top_k: 2 ** 40,
    repetition_penalty: 1e300,
    presence_penalty: Number.NEGATIVE_INFINITY,
  };
  expect(withNumbers({ ...OTHERS }, far)).toMatchObject({
    top_k: NONE,
    repetition_penalty: MAX_F32,
    presence_penalty: -MAX_F32,
    min_p: GREEDY.min_p,
  });
  expect(withNumbers({ ...OTHERS }, { ...GREEDY, top_p: Number.NaN }).top_p).toBeNaN();
});
