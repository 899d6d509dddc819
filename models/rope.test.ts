import { describe, expect, test } from "vitest";
import {
  frequenciesAt,
  type RawConfig,
  readDecoder,
  ropeLengths,
  ropeRows,
  ropeRowsByLength,
} from "./index.ts";

const LLAMA = {
  model_type: "llama",
  hidden_size: 32,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 8,
  vocab_size: 10,
  max_position_embeddings: 64,
};
const ropesOf = (config: RawConfig) => readDecoder({ ...LLAMA, ...config }).spec.ropes;
const fill = (value: number) => new Array<number>(8).fill(value);
const LONG = { rope_type: "longrope", short_factor: fill(1), long_factor: fill(4) };
const longrope = (more: RawConfig = {}) =>
  ropesOf({ rope_scaling: LONG, original_max_position_embeddings: 16, ...more });
const dynamic = ropesOf({ rope_scaling: { rope_type: "dynamic", factor: 3 } });

describe("ropes that depend on length", () => {
  test("are longrope and dynamic alone", () => {
    for (const rope_type of ["default", "linear", "yarn", "llama3"]) {
      const scaling = { rope_type, factor: 2, low_freq_factor: 1, high_freq_factor: 4 };
      const ropes = ropesOf({ rope_scaling: scaling });
      expect(ropeLengths(ropes), rope_type).toBeNull();
      expect(ropes[0]!.beyond).toBeUndefined();
    }
    expect(ropeLengths([])).toBeNull();
    expect(ropeLengths(longrope())).not.toBeNull();
    expect(ropeLengths(dynamic)).not.toBeNull();
  });

  test("longrope: short factors up to the original length, long ones beyond, and then all keys are computed again", () => {
    const lengths = ropeLengths(longrope())!;
    expect([1, 16, 17, 64, 1000].map(lengths.variant)).toEqual([0, 0, 1, 1, 1]);
    expect([lengths.recomputes(15, 16), lengths.recomputes(17, 900)]).toEqual([false, false]);
    expect([lengths.recomputes(16, 17), lengths.recomputes(17, 16)]).toEqual([true, true]);
    const [rope] = longrope();
    expect([frequenciesAt(rope!, 16)[0], frequenciesAt(rope!, 17)[0]]).toEqual([1, 0.25]);
    expect(rope!.attention_factor).toBeCloseTo(Math.sqrt(1 + Math.log(4) / Math.log(16)), 12);
  });

  test("dynamic: as trained up to the trained length, then by each length, and keys stay as they are", () => {
    const lengths = ropeLengths(dynamic)!;
    expect([1, 64, 65, 66, 500].map(lengths.variant)).toEqual([0, 0, 65, 66, 500]);
    expect([lengths.recomputes(64, 65), lengths.recomputes(70, 500)]).toEqual([false, false]);
    expect(frequenciesAt(dynamic[0]!, 64)).toEqual(ropesOf({})[0]!.inv_freq);
    const theta = 10_000 * ((3 * 100) / 64 - 2) ** (16 / 14);
    const [, second] = frequenciesAt(dynamic[0]!, 100);
    expect(second! / theta ** (-2 / 16)).toBeCloseTo(1, 6);
  });

  test("of several tables all borders count", () => {
    const two = [...longrope(), ...longrope({ original_max_position_embeddings: 32 })];
    const lengths = ropeLengths(two)!;
    expect([16, 17, 32, 33].map(lengths.variant)).toEqual([0, 1, 1, 2]);
    expect([lengths.recomputes(20, 30), lengths.recomputes(20, 40)]).toEqual([false, true]);
    const mixed = ropeLengths([...longrope(), ...dynamic])!;
    expect([16, 17, 64, 65].map(mixed.variant)).toEqual([0, 1, 1, 65]);
    expect([mixed.recomputes(17, 99), mixed.recomputes(16, 99)]).toEqual([false, true]);
  });

  test("rows of a part of the table are those of the whole", () => {
    const [rope] = longrope();
    const [whole, part] = [ropeRows(rope!, 0, 12), ropeRows(rope!, 5, 12)];
    expect(part.cos).toEqual(whole.cos.slice(8 * 5));
    expect(part.sin).toEqual(whole.sin.slice(8 * 5));
  });

  test("rows go by each token's own length", () => {
    const [rope] = longrope();
    const { cos, sin } = ropeRowsByLength(rope!, 14, Int32Array.of(16, 16, 17, 40, 12));
    const static_rows = (inv_freq: Float64Array) => ropeRows({ ...rope!, inv_freq }, 14, 19);
    const [short, long] = [static_rows(rope!.inv_freq), static_rows(frequenciesAt(rope!, 17))];
    const expected = [short, short, long, long, short];
    for (const [row, { cos: c, sin: s }] of expected.entries()) {
      expect(cos.slice(8 * row, 8 * row + 8)).toEqual(c.slice(8 * row, 8 * row + 8));
      expect(sin.slice(8 * row, 8 * row + 8)).toEqual(s.slice(8 * row, 8 * row + 8));
    }
  });

  test("Phi-3's original length is beside its sizes, and 4096 where it is not", () => {
    const phi3 = (more: RawConfig) => ropesOf({ model_type: "phi3", rope_scaling: LONG, ...more })[0]!.beyond;
    expect(phi3({ original_max_position_embeddings: 20 })).toMatchObject({ kind: "longrope", length: 20 });
    const inside = { rope_scaling: { ...LONG, original_max_position_embeddings: 20 } };
    expect(phi3({ ...inside, original_max_position_embeddings: 24 })!.length).toBe(24);
    expect(phi3(inside)!.length).toBe(4096);
    expect(ropesOf(inside)[0]!.beyond!.length).toBe(20);
    expect(ropesOf({ rope_scaling: LONG })[0]!.beyond!.length).toBe(64);
  });
});
