import { describe, expect, it } from "vitest";
import { Slots } from "./slots.ts";

describe("slots", () => {
  it("never give 0, and refuse a freed id whose slot serves something else", () => {
    const slots = new Slots();
    slots.grow(1);
    const [first] = slots.take(1);
    expect(slots.slotOf(first!)).toBe(0);
    expect(slots.free(first!)).toBe(true);
    expect([slots.slotOf(first!), slots.free(first!), slots.n_vacant]).toEqual([undefined, false, 1]);
    const [second] = slots.take(1);
    expect(second).not.toBe(first);
    expect([slots.slotOf(first!), slots.slotOf(second!)]).toEqual([undefined, 0]);
    expect(slots.free(first!)).toBe(false);
    for (const id of [0, -1, 1, 2 ** 31, Number.NaN, 0.5]) expect(slots.slotOf(id)).toBe(undefined);
  });

  it("give ids that an Int32Array holds, however often a slot is used", () => {
    const slots = new Slots();
    slots.grow(2);
    for (let i = 0; i < 10_000; i++) {
      const ids = slots.take(2);
      expect(Int32Array.from(ids)).toEqual(Int32Array.from(ids.map((id) => id | 0)));
      expect(ids.every((id) => id > 0)).toBe(true);
      for (const id of ids) slots.free(id);
    }
    expect(slots.n_vacant).toBe(2);
  });
});
