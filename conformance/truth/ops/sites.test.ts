import { describe, expect, it } from "vitest";
import type { DeviceHook } from "../../../models/index.ts";
import { makeRun } from "./make_run.ts";
import { applyHook } from "./sites.ts";

describe("hooks by hand, on h = (3, 4)", () => {
  const along = Float32Array.of(0.6, 0.8); // p = 5
  const all = { site: 0, positions: "all" } as const;
  it.each<[string, DeviceHook, number[]]>([
    ["floor below p", { op: "clamp", ...all, direction: along, floor: 4, ceiling: Infinity }, [3, 4]],
    ["floor above p", { op: "clamp", ...all, direction: along, floor: 10, ceiling: Infinity }, [6, 8]],
    ["ceiling below p", { op: "clamp", ...all, direction: along, floor: -Infinity, ceiling: 2.5 }, [1.5, 2]],
    ["shift", { op: "shift", ...all, delta: Float32Array.of(1, -1) }, [4, 3]],
    ["remove", { op: "remove", ...all, direction: along, delta: null }, [0, 0]],
    ["remove and add", { op: "remove", ...all, direction: along, delta: Float32Array.of(1, 2) }, [1, 2]],
  ])("%s", (_, hook, expected) => {
    const h = Float64Array.of(3, 4);
    applyHook(hook, makeRun([0]).rows[0]!, h);
    for (const [i, x] of expected.entries()) expect(h[i]).toBeCloseTo(x, 5);
  });

  it("positions last acts on the last row of a call that ends", () => {
    const hook: DeviceHook = { op: "shift", site: 0, positions: "last", delta: Float32Array.of(1, 1) };
    const moved = (ends_call: boolean) =>
      makeRun([0, 0], { ask: { ends_call } }).rows.map((row) => {
        const h = Float64Array.of(0, 0);
        applyHook(hook, row, h);
        return h[0];
      });
    expect(moved(true)).toEqual([0, 1]);
    expect(moved(false)).toEqual([0, 0]);
  });
});
