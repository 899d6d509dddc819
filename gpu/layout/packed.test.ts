import { describe, expect, it } from "vitest";
import { UNIFORM_STRIDE } from "../constants.ts";
import { Packed } from "./packed.ts";
import { NONE, record } from "./record.ts";

const HEAD = record({ first: "u32", scale: "f32" });
const ITEM = record({ id: "u32", share: "f32" });
const VALUES = { first: 9, scale: 0.5 };

function u32sOf(bytes: Uint8Array): number[] {
  return [...new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)];
}

describe("a packed buffer", () => {
  it("has its uniform record at its head, and addresses count from behind it", () => {
    const packed = new Packed();
    const at = packed.list(ITEM, [
      { id: 3, share: 0.25 },
      { id: 4, share: 0.75 },
    ]);
    const bytes = packed.bytes(HEAD, VALUES);
    const u32s = u32sOf(bytes);
    expect(at).toBe(0);
    expect(u32s[HEAD.offsets.first]).toBe(9);
    expect([u32s[UNIFORM_STRIDE / 4], u32s[UNIFORM_STRIDE / 4 + ITEM.stride]]).toEqual([3, 4]);
    expect(bytes.length).toBe(UNIFORM_STRIDE + 4 * 2 * ITEM.stride);
  });

  it("keeps what it holds when it grows", () => {
    const packed = new Packed();
    const items = Array.from({ length: 5000 }, (_, id) => ({ id, share: id / 8 }));
    const addresses = items.map((item) => packed.list(ITEM, [item]));
    const large = packed.u32s(Array.from({ length: 40_000 }, (_, i) => i));
    for (const [i, at] of addresses.entries()) expect(ITEM.read(packed, at)).toEqual(items[i]);
    expect(packed.u32[large + 39_999]).toBe(39_999);
    expect(packed.length).toBe(large + 40_000);
  });

  it("writes lists, with null for none, and numbers among many that are none", () => {
    const packed = new Packed();
    const at = packed.u32s([1, null, 0xfffffffe]);
    expect([...packed.u32.slice(at, at + 3)]).toEqual([1, NONE, 0xfffffffe]);
    const among = packed.sparse(5, new Map([[3, 77]]));
    expect([...packed.u32.slice(among, among + 5)]).toEqual([NONE, NONE, NONE, 77, NONE]);
  });

  it.each([[-1], [0.5], [2 ** 32], [Number.NaN]])("refuses %d in a list", (wrong) => {
    expect(() => new Packed().u32s([1, wrong])).toThrow(/need whole numbers below 2\^32 in a list, found/);
    expect(() => new Packed().sparse(2, new Map([[0, wrong]]))).toThrow(/whole numbers/);
  });

  it("refuses a number beyond a sparse list", () => {
    expect(() => new Packed().sparse(2, new Map([[2, 1]]))).toThrow(/an index below 2, found 2/);
  });

  it("is never empty behind its head: no binding may be", () => {
    expect(new Packed().bytes(HEAD, VALUES).length).toBe(UNIFORM_STRIDE + 16);
  });

  it("refuses a uniform record that is larger than its place", () => {
    const fields = Object.fromEntries(
      Array.from({ length: UNIFORM_STRIDE / 4 + 1 }, (_, i) => [`f${i}`, "u32"]),
    );
    const large = record(fields as Record<string, "u32">);
    const values = Object.fromEntries(Object.keys(fields).map((name) => [name, 1]));
    expect(() => new Packed().bytes(large, values)).toThrow("a place among 64 u32s for its 65");
  });
});
