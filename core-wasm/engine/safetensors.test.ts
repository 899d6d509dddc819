import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CapstanError } from "../../models/errors.ts";
import { engineUrl, headerLength, loadEngine } from "../index.ts";

const engine = await loadEngine(readFileSync(engineUrl()));
const encode = (text: string) => new TextEncoder().encode(text);

/** Parses a header text as that of a file with so many bytes of data. */
function parse(header: string, data: number) {
  const bytes = encode(header);
  return engine.parseSafetensorsHeader(bytes, 8 + bytes.length + data);
}

function code(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return error instanceof CapstanError ? error.code : String(error);
  }
  return "no error";
}

const tensor = (shape: number[], start: number, end: number, dtype = "F32") =>
  JSON.stringify({ dtype, shape, data_offsets: [start, end] });

describe("parseSafetensorsHeader", () => {
  it("gives each tensor's place in the file", () => {
    const header = `{"__metadata__":{"format":"pt"},"b":${tensor([3], 8, 14, "BF16")},"a":${tensor([2, 1], 0, 8)}}`;
    const at = 8 + header.length;
    expect(parse(header, 14)).toEqual({
      metadata: { format: "pt" },
      tensors: {
        a: { dtype: "F32", shape: [2, 1], start: at, end: at + 8 },
        b: { dtype: "BF16", shape: [3], start: at + 8, end: at + 14 },
      },
    });
    expect(parse("{}  ", 0)).toEqual({ metadata: {}, tensors: {} });
  });

  it.each([
    ["not JSON", "{", 0],
    ["a list", "[]", 0],
    ["no dtype", '{"a":{"shape":[1],"data_offsets":[0,4]}}', 4],
    ["an unknown dtype", `{"a":${tensor([1], 0, 4, "F31")}}`, 4],
    ["a size that is not its shape's", `{"a":${tensor([2], 0, 4)}}`, 4],
    ["overlapping tensors", `{"a":${tensor([2], 0, 8)},"b":${tensor([2], 4, 12)}}`, 12],
    ["a hole", `{"a":${tensor([1], 0, 4)},"b":${tensor([1], 8, 12)}}`, 12],
    ["a tensor beyond the file", `{"a":${tensor([2], 0, 8)}}`, 7],
    ["bytes that no tensor has", `{"a":${tensor([2], 0, 8)}}`, 9],
    ["a negative offset", `{"a":${tensor([1], -4, 0)}}`, 0],
    ["a shape whose product overflows", `{"a":${tensor([2 ** 31, 2 ** 31, 4], 0, 0)}}`, 0],
    ["the same name twice", `{"a":${tensor([1], 0, 4)},"a":${tensor([1], 4, 8)}}`, 8],
    ["metadata that is not text", `{"__metadata__":{"x":1},"a":${tensor([1], 0, 4)}}`, 4],
    ["JSON nested without end", '{"a":'.repeat(5000), 0],
  ])("refuses %s", (_, header, data) => {
    expect(code(() => parse(header, data))).toBe("bad_file");
  });

  it("refuses what is not UTF-8", () => {
    expect(code(() => engine.parseSafetensorsHeader(Uint8Array.of(0x7b, 0xff, 0x7d), 11))).toBe("bad_file");
  });

  it("reads files beyond 4 GiB", () => {
    const size = 6 * 2 ** 30;
    const header = `{"a":${tensor([size / 2], 0, size, "BF16")}}`;
    expect(parse(header, size).tensors.a!.end).toBe(8 + header.length + size);
  });

  it("answers any bytes with a header or one bad_file, and never lies about a file's size", () => {
    const number = fc.oneof(fc.nat(20), fc.constantFrom(-1, 0.5, 2 ** 32, 2 ** 53, 1e300));
    const entry = fc.record(
      {
        dtype: fc.constantFrom("F32", "BF16", "U8", "F4", "x"),
        shape: fc.array(number, { maxLength: 3 }),
        data_offsets: fc.tuple(number, number),
      },
      { requiredKeys: [] },
    );
    const json = fc.dictionary(
      fc.constantFrom("a", "b", "__metadata__", "\u0000"),
      fc.oneof(entry, fc.jsonValue()),
    );
    const bytes = fc.oneof(
      json.map((value) => encode(JSON.stringify(value))),
      fc.uint8Array({ maxLength: 40 }),
      fc.jsonValue().map((value) => encode(JSON.stringify(value))),
    );
    fc.assert(
      fc.property(bytes, fc.nat(60), (header, data) => {
        const file_size = 8 + header.length + data;
        let parsed: ReturnType<typeof engine.parseSafetensorsHeader>;
        try {
          parsed = engine.parseSafetensorsHeader(header, file_size);
        } catch (error) {
          return error instanceof CapstanError && error.code === "bad_file";
        }
        const ends = Object.values(parsed.tensors).map(({ end }) => end);
        return Math.max(8 + header.length, ...ends) === file_size;
      }),
      { numRuns: 3000 },
    );
  });
});

describe("headerLength", () => {
  const first = (length: bigint) => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, length, true);
    return bytes;
  };

  it("gives the length when the file has space for it", () => {
    expect(headerLength(first(12n), 20)).toBe(12);
    expect(headerLength(first(0n), 8)).toBe(0);
    expect(headerLength(first(100_000_000n), 2 ** 40)).toBe(100_000_000);
  });

  it.each([
    ["a length of 2^60", first(2n ** 60n), 1000],
    ["a length beyond the file", first(13n), 20],
    ["a length beyond any header", first(100_000_001n), 2 ** 40],
    ["fewer than 8 bytes", new Uint8Array(7), 7],
    ["no bytes", new Uint8Array(0), 0],
  ])("refuses %s", (_, bytes, file_size) => {
    expect(code(() => headerLength(bytes, file_size))).toBe("bad_file");
  });
});
