import { describe, expect, test } from "vitest";
import { type FileDtype, type TensorSpec, toFloats } from "../../../models/index.ts";
import { openPart, type TensorSource } from "./part.ts";

/** A checkpoint of one tensor `w` [2, 3] that counts from 1. */
function source(
  dtype: FileDtype = "F32",
  shape: number[] = [2, 3],
): TensorSource & { reads: [number, number][] } {
  const values = Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => i + 1);
  const wide = new Uint32Array(Float32Array.from(values).buffer);
  // Small whole numbers are exact in bfloat16: the upper half of a float32.
  const data = dtype === "F32" ? wide : Uint16Array.from(wide, (bits) => bits >>> 16);
  const bytes = new Uint8Array(data.buffer);
  const reads: [number, number][] = [];
  const read = async (start: number, end: number) => {
    reads.push([start, end]);
    return bytes.slice(start, end);
  };
  return { reads, tensor: (name) => ({ name, dtype, shape, byte_length: bytes.length, read }) };
}

async function floats(weights: TensorSource, spec: TensorSpec): Promise<number[]> {
  const part = openPart(weights, spec);
  return [...toFloats(await part.read(0, part.byte_length), part.dtype)];
}

const W: TensorSpec = { name: "w", shape: [2, 3] };

describe.each(["F32", "BF16"] as const)("a part of a weight in %s", (dtype) => {
  test("is the tensor as it is", async () => {
    expect(await floats(source(dtype), W)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("is transposed", async () => {
    const part = openPart(source(dtype), { ...W, transposed: true });
    expect(part.shape).toEqual([3, 2]);
    expect(await floats(source(dtype), { ...W, transposed: true })).toEqual([1, 4, 2, 5, 3, 6]);
  });

  test("is some rows, and no others are read", async () => {
    const weights = source(dtype);
    const part = openPart(weights, { ...W, rows: { start: 1, end: 2 } });
    const row = part.byte_length;
    expect([part.shape, [...toFloats(await part.read(0, row), dtype)]]).toEqual([
      [1, 3],
      [4, 5, 6],
    ]);
    expect(weights.reads).toEqual([[row, 2 * row]]);
  });

  test("is transposed, then cut", async () => {
    const spec: TensorSpec = { ...W, transposed: true, rows: { start: 1, end: 3 } };
    expect(await floats(source(dtype), spec)).toEqual([2, 5, 3, 6]);
  });

  test("is added to, in float32", async () => {
    const spec: TensorSpec = { name: "w", shape: [4], add: 1, rows: { start: 1, end: 3 } };
    const part = openPart(source(dtype, [4]), spec);
    expect([part.dtype, part.byte_length, part.shape]).toEqual(["F32", 8, [2]]);
    expect(await floats(source(dtype, [4]), spec)).toEqual([3, 4]);
  });
});

test("what is transposed is read once, however it is asked for", async () => {
  const weights = source();
  const part = openPart(weights, { ...W, transposed: true });
  const rows = [await part.read(0, 8), await part.read(8, 16), await part.read(16, 24)];
  expect(rows.map((bytes) => [...toFloats(bytes, "F32")])).toEqual([
    [1, 4],
    [2, 5],
    [3, 6],
  ]);
  expect(weights.reads.length).toBe(1);
});

test("a tensor of another shape is refused, by both", () => {
  const wrong = () => openPart(source("F32", [3, 2]), W);
  expect(wrong).toThrow("need w [2,3] in 24 bytes, found [3,2] in 24 bytes");
});
