import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { contentDigest } from "./content_digest.ts";
import { uniforms } from "./numbers/random.ts";

/** The same by Node's own SHA-256. */
function expected(name: string, data: Uint8Array): string {
  const head = JSON.stringify([name, "U8", String(data.length)]);
  return `sha256:${createHash("sha256").update(head).update(data).digest("hex")}`;
}

it("is SHA-256, of data of any length", () => {
  const next = uniforms(4);
  const lengths = [...Array.from({ length: 200 }, (_, i) => i), 4095, 4096, 4097, 1_000_003];
  for (const length of lengths) {
    const data = Uint8Array.from({ length }, () => 256 * next());
    const digest = contentDigest([["x", { dtype: "U8", shape: [length], data }]], {});
    expect(digest, `${length} bytes`).toBe(expected("x", data));
  }
});

it("does not go by the order of names, and sees every change", () => {
  const bytes = (...values: number[]) => Uint8Array.from(values);
  const a = ["a", { dtype: "U8", shape: [2], data: bytes(1, 2) }] as const;
  const b = ["b", { dtype: "U8", shape: [1], data: bytes(3) }] as const;
  const digest = contentDigest([a, b], { x: "1", y: "2" });
  expect(contentDigest([b, a], { y: "2", x: "1" })).toBe(digest);
  const others = [
    contentDigest([a, ["b", { ...b[1], data: bytes(4) }]], { x: "1", y: "2" }),
    contentDigest([["a", { ...a[1], shape: [2, 1] }], b], { x: "1", y: "2" }),
    contentDigest([a, ["c", b[1]]], { x: "1", y: "2" }),
    contentDigest([a, b], { x: "2", y: "1" }),
    contentDigest([a, b], { x: "1" }),
    contentDigest([a], { x: "1", y: "2" }),
  ];
  expect(new Set([digest, ...others]).size).toBe(7);
});
