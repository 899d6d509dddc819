import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { percentile, VectorSum, wilson } from "./stats.ts";

describe("percentile", () => {
  it("gives numpy's values", () => {
    const values = [3.5, -1.25, 7.0, 0.1, 2.2, 9.75, -4.0];
    // numpy.percentile(values, p)
    const expected = {
      0: -4,
      1: -3.835,
      10: -2.35,
      25: -0.575,
      33.3: 0.0973,
      50: 2.2,
      75: 5.25,
      99: 9.585,
      100: 9.75,
    };
    for (const [p, value] of Object.entries(expected)) {
      expect(percentile(values, Number(p)), `p${p}`).toBeCloseTo(value, 12);
    }
  });

  it("of one value is that value, and never leaves the range", () => {
    expect(percentile([7], 25)).toBe(7);
    const values = fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 1 });
    fc.assert(
      fc.property(values, fc.double({ noNaN: true, min: 0, max: 100 }), (list, p) => {
        const found = percentile(list, p);
        return found >= Math.min(...list) && found <= Math.max(...list);
      }),
    );
  });
});

describe("wilson", () => {
  it("gives the score interval", () => {
    const cases = [
      [8, 10, 0.490162471536642, 0.9433178485456247],
      [81, 360, 0.18489775343410303, 0.2709091778546784],
    ] as const;
    for (const [successes, n, low, high] of cases) {
      const found = wilson(successes, n);
      expect(found.rate).toBe(successes / n);
      expect(found.low).toBeCloseTo(low, 6);
      expect(found.high).toBeCloseTo(high, 6);
    }
  });

  it("holds at the ends", () => {
    expect(wilson(0, 20)).toMatchObject({ rate: 0, low: 0 });
    expect(wilson(0, 20).high).toBeCloseTo(0.161125158, 8);
    expect(wilson(300, 300)).toMatchObject({ rate: 1, high: 1 });
    expect(wilson(0, 0)).toEqual({ rate: 0, low: 0, high: 1, n: 0 });
  });
});

describe("VectorSum", () => {
  it("merges to the mean of all, however it was split", () => {
    const vectors = Array.from({ length: 9 }, (_, i) => Float32Array.of(i, i * i, -i));
    const whole = new VectorSum(3);
    for (const vector of vectors) whole.add(vector);
    for (let cut = 0; cut <= vectors.length; cut++) {
      const [a, b] = [new VectorSum(3), new VectorSum(3)];
      for (const [i, vector] of vectors.entries()) (i < cut ? a : b).add(vector);
      a.merge(b);
      expect([...a.mean()]).toEqual([...whole.mean()]);
    }
    expect([...new VectorSum(2).mean()]).toEqual([0, 0]);
  });
});
