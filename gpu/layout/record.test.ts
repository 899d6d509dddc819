import { beforeAll, describe, expect, it } from "vitest";
import { Random } from "../../conformance/contract/random.ts";
import { lacks } from "../../testing/parts.ts";
import type { PackedRecord, ShaderCopy } from "../../testing/runtimes/records.ts";
import { denoRuntime } from "../../testing/runtimes/runtimes.ts";
import * as hooks from "./hooks.ts";
import * as ops from "./ops.ts";
import {
  type Fields,
  type FieldType,
  MAX_F32,
  NONE,
  type RecordLayout,
  record,
  type Values,
} from "./record.ts";
import * as results from "./results.ts";
import * as sample from "./sample.ts";
import * as step from "./step.ts";

const MIXED = record({ id: "u32", at: "u32?", bias: "f32", seen: "bool" });
const VALUES: Values<typeof MIXED.fields> = { id: 7, at: null, bias: -0.25, seen: true };

function views(length: number): { u32: Uint32Array; f32: Float32Array } {
  const u32 = new Uint32Array(length).fill(0xaaaaaaaa);
  return { u32, f32: new Float32Array(u32.buffer) };
}

describe("record", () => {
  it("has fields in their order, scalars one behind the other", () => {
    expect(MIXED.offsets).toEqual({ id: 0, at: 1, bias: 2, seen: 3 });
    expect(MIXED.stride).toBe(4);
    expect(record({ a: "u32", b: "f32", c: "bool" }).stride).toBe(3);
  });

  it("aligns vectors as WGSL does: pairs to 2, threes and fours to 4, the stride to the widest", () => {
    expect(record({ a: "u32", b: "vec2<f32>", c: "u32" })).toMatchObject({
      offsets: { a: 0, b: 2, c: 4 },
      stride: 6,
    });
    // A scalar is put behind a vector of three, in its fourth place.
    expect(record({ a: "u32", b: "vec3<u32>", c: "f32" })).toMatchObject({
      offsets: { a: 0, b: 4, c: 7 },
      stride: 8,
    });
    expect(record({ a: "vec4<f32>", b: "bool" })).toMatchObject({ offsets: { a: 0, b: 4 }, stride: 8 });
  });

  it("reads what it wrote, and touches nothing beside it", () => {
    const to = views(10);
    MIXED.write(to, 3, VALUES);
    expect(MIXED.read(to, 3)).toEqual(VALUES);
    expect([...to.u32.slice(0, 3), ...to.u32.slice(7)]).toEqual(Array(6).fill(0xaaaaaaaa));
    expect(to.u32[4]).toBe(NONE);
    expect(MIXED.read({ u32: MIXED.pack(VALUES), f32: new Float32Array(4) }, 0).id).toBe(7);
  });

  it.each([
    [{ id: -1 }, "id as a whole number below 2^32, found -1"],
    [{ id: 2 ** 32 }, "id as a whole number below 2^32, found 4294967296"],
    [{ id: 0.5 }, "id as a whole number below 2^32, found 0.5"],
    [{ id: Number.NaN }, "id as a whole number below 2^32, found NaN"],
    [{ at: NONE }, "at as null or a whole number below 2^32 - 1, found 4294967295"],
    [{ bias: Number.NaN }, "bias as a number that float32 holds, found NaN"],
    [{ bias: Number.NEGATIVE_INFINITY }, "bias as a number that float32 holds, found -Infinity"],
    [{ bias: 2 * MAX_F32 }, "bias as a number that float32 holds"],
  ])("refuses what a field does not hold: %j", (wrong, message) => {
    const refused = expect.objectContaining({
      code: "bad_request",
      message: expect.stringContaining(`need ${message}`),
    });
    expect(() => MIXED.pack({ ...VALUES, ...wrong })).toThrow(refused);
  });

  it("takes the largest numbers", () => {
    const largest = { id: 2 ** 32 - 1, at: NONE - 1, bias: -MAX_F32, seen: false };
    const to = views(4);
    MIXED.write(to, 0, largest);
    expect(MIXED.read(to, 0)).toEqual(largest);
  });

  it("refuses a record past the buffer's end", () => {
    const small = views(5);
    expect(() => MIXED.write(small, 2, VALUES)).toThrow("a place among 5 u32s for its 4, found 2");
    expect(() => MIXED.read(small, -1)).toThrow("found -1");
  });

  it("refuses wrong names and types when it is compiled", () => {
    // @ts-expect-error: a field that is missing
    expect(() => MIXED.pack({ id: 1, at: 2, bias: 0 })).toThrow("seen");
    // @ts-expect-error: a number for a bool
    expect(() => MIXED.pack({ ...VALUES, seen: 1 })).toThrow("seen");
    // @ts-expect-error: null for a u32
    expect(() => MIXED.pack({ ...VALUES, id: null })).toThrow("id");
    // @ts-expect-error: two numbers for three
    expect(() => record({ v: "vec3<f32>" }).pack({ v: [1, 2] })).toThrow("v as 3 numbers");
    // @ts-expect-error: a name that the record has not
    MIXED.pack({ ...VALUES, weight: 1 });
    // @ts-expect-error: a type that no field has
    record({ a: "f16" });
    // @ts-expect-error: a field that is not there
    expect(MIXED.read(views(4), 0).weight).toBe(undefined);
  });
});

/** CONTRIBUTING's walk "Adding a field to a record", done: one line gives the writer, the reader, the stride and the WGSL. */
describe("a record with a field more", () => {
  const WIDER = record({ ...step.ROW.fields, added: "vec2<f32>" });
  const values = { ...step.ROW.read(views(step.ROW.stride), 0), added: [0.5, -3] as const };

  it("keeps the other fields where they were", () => {
    expect(WIDER.offsets).toMatchObject(step.ROW.offsets);
    expect(WIDER.stride).toBeGreaterThanOrEqual(step.ROW.stride + 2);
  });

  it("is written and read with it, and refused without it when it is compiled", () => {
    const to = views(WIDER.stride);
    WIDER.write(to, 0, values);
    expect(WIDER.read(to, 0)).toEqual(values);
    const { added: _, ...without } = values;
    // @ts-expect-error: the new field is missing
    expect(() => WIDER.pack(without)).toThrow();
  });

  it("has its WGSL: a member of the struct, and a function that reads it", () => {
    expect(WIDER.struct("Row")).toContain("added: vec2<f32>,");
    const at = WIDER.offsets.added;
    expect(WIDER.accessors({ name: "row", array: "batch" })).toContain(
      `fn row_added(at: u32) -> vec2<f32> { return vec2<f32>(bitcast<f32>(batch[at + ${at}u]), bitcast<f32>(batch[at + ${at + 1}u])); }`,
    );
  });
});

const SCALARS = ["u32", "u32?", "f32", "bool"] as const;
const COUNTS = [1, 1, 2, 3, 4] as const;

/** Records of random fields, among them every type. */
function randomRecords(count: number): Record<string, RecordLayout> {
  const random = new Random(12);
  const types = SCALARS.flatMap((scalar) =>
    COUNTS.map((n): FieldType => (n === 1 ? scalar : `vec${n}<${scalar}>`)),
  );
  return Object.fromEntries(
    Array.from({ length: count }, (_, i) => {
      const fields = Array.from({ length: 1 + random.below(9) }, (_, n) => [
        `field_${n}`,
        types[i === 0 ? n : random.below(types.length)]!,
      ]);
      return [`random ${i}`, record(Object.fromEntries(fields) as Fields)];
    }),
  );
}

/** Values that no other field of the record has, as far as its type has so many. */
function distinctValues(fields: Fields): Values<Fields> {
  let next = 0x01020304;
  const of = (scalar: string) => {
    next += 0x01010101;
    if (scalar === "bool") return next % 2 === 0;
    if (scalar === "f32") return Math.fround(next / 3.7e9) - 1;
    return scalar === "u32?" && next % 3 === 0 ? null : next;
  };
  return Object.fromEntries(
    Object.entries(fields).map(([name, type]) => {
      const [, count, scalar] = /^vec(\d)<(.*)>$/.exec(type) ?? [];
      return [
        name,
        count === undefined ? of(type) : Array.from({ length: Number(count) }, () => of(scalar!)),
      ];
    }),
  ) as Values<Fields>;
}

describe.skipIf(lacks("vulkan") || lacks("deno"))("records in a shader", () => {
  const modules: object[] = [hooks, ops, results, sample, step];
  const declared = modules.flatMap((module) => Object.entries(module) as [string, unknown][]);
  const all = { ...Object.fromEntries(declared.filter(isRecord)), ...randomRecords(12) };
  const given = new Map<string, PackedRecord>();
  const copies = new Map<string, ShaderCopy>();

  beforeAll(async () => {
    for (const [name, layout] of Object.entries(all)) {
      const packed = [...layout.pack(distinctValues(layout.fields))];
      given.set(name, { fields: layout.fields, packed });
    }
    await using deno = denoRuntime();
    const found = await deno.run("records", { records: [...given.values()] });
    for (const [i, name] of [...given.keys()].entries()) copies.set(name, found[i]!);
  }, 300_000);

  it.each(Object.keys(all))("%s: WGSL reads and writes each field where TypeScript does", (name) => {
    const { packed } = given.get(name)!;
    expect(copies.get(name)).toEqual({ by_index: packed, by_address: packed, uniform: packed });
  });
});

function isRecord(entry: [string, unknown]): entry is [string, RecordLayout] {
  return typeof entry[1] === "object";
}
