import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CapstanError } from "../../../models/index.ts";
import { engine } from "../../platform/engine.ts";
import { sha256 } from "../../platform/index.ts";
import { memorySource } from "../source/memory.ts";
import { decodeSafetensors, encodeSafetensors, openSafetensors, type TensorData } from "./index.ts";

/** What Python's safetensors 0.8.0 (`safetensors.numpy.save`) wrote for `OFFICIAL_TENSORS`. */
const OFFICIAL =
  "SAIAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJmb3JtYXQiOiJwdCJ9LCJ6Ijp7ImR0eXBlIjoiSTY0Iiwic2hhcGUiOlsxXSwiZGF0YV9v" +
  "ZmZzZXRzIjpbMCw4XX0sInMiOnsiZHR5cGUiOiJGNjQiLCJzaGFwZSI6W10sImRhdGFfb2Zmc2V0cyI6WzgsMTZdfSwiYyI6eyJkdHlw" +
  "ZSI6IkM2NCIsInNoYXBlIjpbMV0sImRhdGFfb2Zmc2V0cyI6WzE2LDI0XX0sImIiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzNdLCJk" +
  "YXRhX29mZnNldHMiOlsyNCwzNl19LCJlIjp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlswLDRdLCJkYXRhX29mZnNldHMiOlszNiwzNl19" +
  "LCJ1Ijp7ImR0eXBlIjoiVTMyIiwic2hhcGUiOlsxXSwiZGF0YV9vZmZzZXRzIjpbMzYsNDBdfSwiaSI6eyJkdHlwZSI6IkkzMiIsInNo" +
  "YXBlIjpbMV0sImRhdGFfb2Zmc2V0cyI6WzQwLDQ0XX0sImEiOnsiZHR5cGUiOiJGMTYiLCJzaGFwZSI6WzEsMl0sImRhdGFfb2Zmc2V0" +
  "cyI6WzQ0LDQ4XX0sIsO8Ijp7ImR0eXBlIjoiVTgiLCJzaGFwZSI6WzNdLCJkYXRhX29mZnNldHMiOls0OCw1MV19LCJCIjp7ImR0eXBl" +
  "IjoiQk9PTCIsInNoYXBlIjpbMV0sImRhdGFfb2Zmc2V0cyI6WzUxLDUyXX19IAcAAAAAAAAAAAAAAAAABEAAAEBAAAAAAAAAAAAAAIA/" +
  "AAAAQAMAAAADAAAAAD4AwAECAwE=";
const OFFICIAL_TENSORS: Record<string, TensorData> = {
  b: { dtype: "F32", shape: [3], data: Float32Array.of(0, 1, 2) },
  a: { dtype: "F16", shape: [1, 2], data: Uint16Array.of(0x3e00, 0xc000) },
  z: { dtype: "I64", shape: [1], data: BigInt64Array.of(7n) },
  e: { dtype: "F32", shape: [0, 4], data: new Float32Array() },
  ü: { dtype: "U8", shape: [3], data: Uint8Array.of(1, 2, 3) },
  s: { dtype: "F64", shape: [], data: Float64Array.of(2.5) },
  B: { dtype: "BOOL", shape: [1], data: Uint8Array.of(1) },
  i: { dtype: "I32", shape: [1], data: Int32Array.of(3) },
  u: { dtype: "U32", shape: [1], data: Uint32Array.of(3) },
  c: { dtype: "C64", shape: [1], data: Float32Array.of(3, 0) },
};

/** A file with this header text (or value) and `data` zero bytes after it. */
function file(header: unknown, data = 0): Uint8Array {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + data);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

function errorOf(bytes: Uint8Array): CapstanError {
  try {
    decodeSafetensors(bytes, "x.safetensors");
  } catch (error) {
    expect(error).toBeInstanceOf(CapstanError);
    return error as CapstanError;
  }
  throw new Error("decoded");
}

const f32 = (start: number, end: number, shape = [(end - start) / 4]) => ({
  dtype: "F32",
  shape,
  data_offsets: [start, end],
});

describe("write", () => {
  test("gives the bytes that the official writer gives", () => {
    const bytes = encodeSafetensors(OFFICIAL_TENSORS, { format: "pt" });
    expect(Buffer.from(bytes).toString("base64")).toBe(OFFICIAL);
  });

  test("does not depend on the order of its input", () => {
    const reversed = Object.fromEntries(Object.entries(OFFICIAL_TENSORS).reverse());
    expect(encodeSafetensors(reversed, { b: "1", a: "2" })).toEqual(
      encodeSafetensors(OFFICIAL_TENSORS, { a: "2", b: "1" }),
    );
  });

  test.each([
    ["data of another size", { x: { dtype: "F32", shape: [2], data: new Float32Array(3) } }],
    ["a negative size", { x: { dtype: "F32", shape: [-1], data: new Float32Array() } }],
    ["an unknown dtype", { x: { dtype: "F31" as "F32", shape: [1], data: new Float32Array(1) } }],
    ["the metadata's name", { __metadata__: { dtype: "F32", shape: [1], data: new Float32Array(1) } }],
  ] satisfies [string, Record<string, TensorData>][])("refuses %s", (_, tensors) => {
    expect(() => encodeSafetensors(tensors)).toThrow(CapstanError);
  });
});

describe("read", () => {
  test("gives back what was written, values as float32", () => {
    const { metadata, tensors } = decodeSafetensors(Buffer.from(OFFICIAL, "base64"));
    expect(metadata).toEqual({ format: "pt" });
    expect([...tensors.keys()].sort()).toEqual(Object.keys(OFFICIAL_TENSORS).sort());
    const values = (name: string) => [...tensors.get(name)!.float32()];
    expect(values("a")).toEqual([1.5, -2]);
    expect(values("b")).toEqual([0, 1, 2]);
    expect(values("s")).toEqual([2.5]);
    expect(values("ü")).toEqual([1, 2, 3]);
    expect(values("e")).toEqual([]);
    expect(tensors.get("e")!.shape).toEqual([0, 4]);
    expect(() => tensors.get("z")!.float32()).toThrow("found I64");
  });

  test("half and bfloat16 become the float32 they stand for", () => {
    const halves = Uint16Array.of(0x0001, 0x03ff, 0x0400, 0x7bff, 0x8000, 0x7c00, 0xfc00, 0x7e00);
    const brains = Uint16Array.of(0x3f80, 0xc049, 0x0001, 0x7f80);
    const { tensors } = decodeSafetensors(
      encodeSafetensors({
        h: { dtype: "F16", shape: [8], data: halves },
        b: { dtype: "BF16", shape: [4], data: brains },
      }),
    );
    const tiny = 2 ** -24;
    const inf = Number.POSITIVE_INFINITY;
    expect([...tensors.get("h")!.float32()]).toEqual([
      tiny,
      1023 * tiny,
      2 ** -14,
      65504,
      -0,
      inf,
      -inf,
      Number.NaN,
    ]);
    expect([...tensors.get("b")!.float32()]).toEqual([1, -3.140625, 2 ** -133, inf]);
  });

  test.each([
    ["F8_E4M3", "422eccfaa21e72a6b26855bb10cdcfead6c1ce3262ecd813c99d8cbf9677f2e2"],
    ["F8_E5M2", "229a94c5f728edf2259da970a0e1dfb45cc1d69cce2b30e37659f3212ec4b8b9"],
    ["F8_E8M0", "2fb2732a956043772ccd2c1664ae5d2558c62f9c06780c04d95f1ff0050f2f2f"],
  ] as const)("%s has the 256 values that PyTorch 2.15 gives it", async (dtype, digest) => {
    const data = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const { tensors } = decodeSafetensors(encodeSafetensors({ x: { dtype, shape: [256], data } }));
    const values = tensors.get("x")!.float32();
    const words = new Uint32Array(values.buffer).map((word, i) =>
      Number.isNaN(values[i]) ? 0x7fc00000 : word,
    );
    expect(await sha256(new Uint8Array(words.buffer))).toBe(digest);
  });

  test("opens a source by its header and reads ranges", async () => {
    const source = memorySource({ "x.safetensors": Buffer.from(OFFICIAL, "base64") });
    const { tensors, file_bytes, header_bytes } = await openSafetensors(source, "x.safetensors");
    expect([file_bytes, header_bytes]).toEqual([644, 592]);
    expect([...(await tensors.get("ü")!.read(1, 3))]).toEqual([2, 3]);
    expect([...(await tensors.get("b")!.float32())]).toEqual([0, 1, 2]);
    await expect(tensors.get("b")!.read(4, 13)).rejects.toThrow("within its 12 bytes");
    await expect(openSafetensors(source, "y.safetensors")).rejects.toMatchObject({ code: "not_found" });
  });

  test("a source that gives too few bytes is an error", async () => {
    const bytes = Buffer.from(OFFICIAL, "base64");
    const source = { ...memorySource({ x: bytes }), size: async () => bytes.length };
    const short = { ...source, read: async (n: string, a: number, b: number) => source.read(n, a, b - 1) };
    await expect(openSafetensors(short, "x")).rejects.toMatchObject({ code: "bad_file" });
  });
});

describe("bad files", () => {
  const huge = new Uint8Array(64);
  new DataView(huge.buffer).setBigUint64(0, 2n ** 60n, true);
  const long = new Uint8Array(64);
  new DataView(long.buffer).setBigUint64(0, 57n, true);
  const dup =
    '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}';
  const cases: [string, Uint8Array, string][] = [
    ["empty", new Uint8Array(), "found 0 bytes"],
    ["seven bytes", new Uint8Array(7), "found 7 bytes"],
    ["a header of 2^60 bytes", huge, "a header of at most 56 bytes, found 1152921504606846976"],
    ["a header longer than the file", long, "a header of at most 56 bytes, found 57"],
    ["no JSON", file("{oops"), "not JSON"],
    ["NaN in it", file('{"__metadata__":{"x":NaN}}'), "not JSON"],
    ["bytes that are not UTF-8", Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0x22, 0xff), "not JSON"],
    ["a list", file([]), "a JSON object"],
    ["null", file("null"), "a JSON object"],
    ["metadata of numbers", file({ __metadata__: { x: 1 } }), 'metadata "x" as text, found 1'],
    ["metadata that is a text", file({ __metadata__: "x" }), "__metadata__"],
    ["a name twice", file(dup, 1), '"a" twice'],
    [
      "a field twice",
      file('{"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
      '"dtype" twice',
    ],
    ["an unknown dtype", file({ a: { dtype: "F31", shape: [1], data_offsets: [0, 4] } }, 4), 'found "F31"'],
    [
      "a dtype of Object's",
      file({ a: { dtype: "toString", shape: [], data_offsets: [0, 4] } }, 4),
      "known dtype",
    ],
    ["no dtype", file({ a: { shape: [1], data_offsets: [0, 4] } }, 4), "found null"],
    ["a tensor that is a number", file({ a: 1 }), "an object for tensor"],
    ["a negative size", file({ a: f32(0, 4, [-1]) }, 4), "whole numbers"],
    ["a size that is a fraction", file({ a: f32(0, 4, [0.5]) }, 4), "whole numbers"],
    ["a shape beyond counting", file({ a: f32(0, 4, [2 ** 40, 2 ** 40]) }, 4), "data_offsets 0 to 4"],
    ["one offset", file({ a: { dtype: "F32", shape: [1], data_offsets: [4] } }, 4), "two data_offsets"],
    ["offsets that run back", file({ a: f32(8, 4, [1]) }, 8), "data_offsets 8 to 4"],
    ["a size that is not its shape's", file({ a: f32(0, 8, [1]) }, 8), "the bytes of F32 [1]"],
    ["tensors that overlap", file({ a: f32(0, 8), b: f32(4, 12) }, 12), "begins inside another"],
    ["a gap", file({ a: f32(0, 4), b: f32(8, 12) }, 12), "a gap of 4 bytes"],
    ["a tensor out of range", file({ a: f32(0, 64) }, 60), "cut short"],
    ["bytes after the last tensor", file({ a: f32(0, 4) }, 5), "end with its last tensor"],
    ["bytes without tensors", file({}, 5), "end with its last tensor"],
  ];
  test.each(cases)("%s", (_, bytes, text) => {
    const error = errorOf(bytes);
    expect(error.code).toBe("bad_file");
    expect(error.message).toContain(text);
    expect(error.message).toMatch(/^read x\.safetensors: need .+, found .+\.?/);
  });

  test("names that objects treat specially are names", () => {
    const bytes = file('{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1);
    expect([...decodeSafetensors(bytes).tensors.keys()]).toEqual(["__proto__"]);
    expect(decodeSafetensors(file("{}")).tensors.size).toBe(0);
  });
});

describe("the official crate", () => {
  const tensors: Record<string, TensorData> = {
    a: { dtype: "F32", shape: [2, 3], data: new Float32Array(6) },
    b: { dtype: "BF16", shape: [4], data: new Uint16Array(4) },
    c: { dtype: "U8", shape: [0], data: new Uint8Array() },
  };
  const valid = encodeSafetensors(tensors, { x: "y" });
  const position = fc.integer({ min: 8, max: valid.length - 32 });
  const characters = [...'0123456789,{}[]":FBU '].map((char) => char.charCodeAt(0));
  const changes = fc.array(fc.tuple(position, fc.constantFrom(...characters)), {
    minLength: 1,
    maxLength: 3,
  });
  const damaged = changes.map((list) => {
    const bytes = new Uint8Array(valid);
    for (const [at, byte] of list) bytes[at] = byte;
    return bytes;
  });
  const size = fc.nat(12);
  const info = fc.record({
    dtype: fc.constantFrom("F32", "U8", "F32", "U8", "F4", "F6_E2M3", "F6_E3M2", "F8_E4M3FNUZ", "C64", "U4"),
    shape: fc.array(fc.nat(4), { maxLength: 2 }),
    data_offsets: fc.tuple(size, size),
  });
  const value = fc.oneof({ weight: 5, arbitrary: info }, { weight: 1, arbitrary: fc.constant(null) });
  const headers = fc.dictionary(fc.constantFrom("a", "b", "__metadata__"), value);
  const made = fc.tuple(headers, size).map(([header, data]) => file(header, data));

  test("takes and refuses the same files", async () => {
    const crate = await engine();
    const outcome = (run: () => unknown) => {
      try {
        run();
        return "read";
      } catch (error) {
        return (error as CapstanError).code;
      }
    };
    fc.assert(
      fc.property(fc.oneof(damaged, made), (bytes) => {
        const ours = outcome(() => decodeSafetensors(bytes));
        const header = bytes.subarray(8, 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true)));
        const theirs = outcome(() => crate.parseSafetensorsHeader(header, bytes.length));
        // JavaScript cannot tell 1.0 from 1, which the crate refuses; weights are checked by both.
        const text = new TextDecoder().decode(header);
        if (!/\d\.|\de/i.test(text)) expect(ours, text).toBe(theirs);
      }),
      { numRuns: 4000 },
    );
  });
});

describe("any file", () => {
  const tensor = fc
    .record({
      dtype: fc.constantFrom("F32", "F16", "I64", "U8", "BF16" as const),
      shape: fc.array(fc.nat(4), { maxLength: 3 }),
      seed: fc.nat(255),
    })
    .map(({ dtype, shape, seed }): TensorData => {
      const item = { F32: 4, F16: 2, BF16: 2, I64: 8, U8: 1 }[dtype];
      const size = shape.reduce((a, b) => a * b, item);
      return { dtype: dtype as TensorData["dtype"], shape, data: new Uint8Array(size).fill(seed) };
    });
  const name = fc.string({ unit: "grapheme" }).filter((text) => text !== "__metadata__");
  const contents = fc.tuple(
    fc.dictionary(name, tensor, { maxKeys: 6 }),
    fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 }),
  );

  test("comes back as it was written", () => {
    fc.assert(
      fc.property(contents, ([tensors, metadata]) => {
        const read = decodeSafetensors(encodeSafetensors(tensors, metadata));
        expect({ ...read.metadata }).toEqual({ ...metadata });
        expect(new Set(read.tensors.keys())).toEqual(new Set(Object.keys(tensors)));
        for (const [key, { dtype, shape, data }] of Object.entries(tensors)) {
          expect(read.tensors.get(key)).toMatchObject({ dtype, shape });
          expect(Buffer.compare(read.tensors.get(key)!.data, data as Uint8Array)).toBe(0);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("damaged anywhere, is read or refused with one clear error", () => {
    const damage = fc.array(fc.tuple(fc.nat(700), fc.nat(255)), { minLength: 1, maxLength: 4 });
    const cut = fc.option(fc.nat(644), { nil: 644 });
    fc.assert(
      fc.property(damage, cut, (bytes_to_change, length) => {
        const bytes = Buffer.from(OFFICIAL, "base64").subarray(0, length);
        for (const [at, byte] of bytes_to_change) if (at < bytes.length) bytes[at] = byte;
        try {
          const { tensors } = decodeSafetensors(bytes);
          const total = [...tensors.values()].reduce((sum, { data }) => sum + data.length, 0);
          expect(total).toBeLessThanOrEqual(bytes.length);
        } catch (error) {
          expect(error).toBeInstanceOf(CapstanError);
          expect((error as CapstanError).code).toBe("bad_file");
        }
      }),
      { numRuns: 3000 },
    );
  });

  test("any JSON as header is read or refused with one clear error", () => {
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 3 }),
      fc.dictionary(
        fc.constantFrom("a", "b", "__metadata__"),
        fc.record({
          dtype: fc.oneof(fc.constantFrom("F32", "U8"), fc.jsonValue()),
          shape: fc.oneof(fc.array(fc.integer({ min: -1, max: 5 })), fc.jsonValue()),
          data_offsets: fc.oneof(fc.tuple(fc.nat(40), fc.nat(40)), fc.jsonValue()),
        }),
      ),
    );
    fc.assert(
      fc.property(value, fc.nat(40), (header, data) => {
        try {
          decodeSafetensors(file(header, data));
        } catch (error) {
          expect(error).toBeInstanceOf(CapstanError);
        }
      }),
      { numRuns: 3000 },
    );
  });
});
