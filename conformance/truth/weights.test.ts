import { expect, it } from "vitest";
import { buildProgram, type FileDtype, readDecoder, type WeightSource } from "../../models/index.ts";
import { loadWeights } from "./weights.ts";

const decoder = readDecoder({
  model_type: "llama",
  hidden_size: 2,
  num_attention_heads: 1,
  num_hidden_layers: 1,
  intermediate_size: 2,
  vocab_size: 3,
});
const program = buildProgram(decoder);

/** Every tensor holds the same bytes again and again. */
function source(dtype: FileDtype, element: number[]): WeightSource {
  return {
    parts: (slot) =>
      slot.parts.map(({ name, shape }) => {
        const count = shape.reduce((a, b) => a * b, 1);
        const bytes = Uint8Array.from(new Array<number[]>(count).fill(element).flat());
        const read = async (start: number, end: number) => bytes.slice(start, end);
        return { name, dtype, shape, byte_length: bytes.length, read };
      }),
  };
}

const options = { dtype: "auto", n_ctx: 8, ropes: decoder.spec.ropes } as const;

it.each<[string, FileDtype, number[], number]>([
  ["one", "F16", [0x00, 0x3c], 1],
  ["the largest float16", "F16", [0xff, 0x7b], 65504],
  ["the smallest float16", "F16", [0x01, 0x00], 2 ** -24],
  ["a negative subnormal", "F16", [0xff, 0x83], -1023 * 2 ** -24],
  ["a third", "F16", [0x55, 0x35], 0.333251953125],
  ["minus three in bfloat16", "BF16", [0x40, 0xc0], -3],
  ["the smallest bfloat16", "BF16", [0x01, 0x00], 2 ** -133],
  ["pi in float32", "F32", [0xdb, 0x0f, 0x49, 0x40], Math.fround(Math.PI)],
])("%s is read exactly", async (_, dtype, bytes, value) => {
  const weights = await loadWeights(program, source(dtype, bytes), options);
  expect(weights.length).toBe(program.weights.length);
  for (const { data } of weights) expect(data.every((x) => x === value)).toBe(true);
});

it.each<[string, FileDtype, number[]]>([
  ["NaN", "F16", [0x01, 0x7c]],
  ["infinity", "F16", [0x00, 0xfc]],
  ["NaN", "BF16", [0xc0, 0x7f]],
  ["infinity", "F32", [0x00, 0x00, 0x80, 0x7f]],
])("%s in %s is refused", async (_, dtype, bytes) => {
  await expect(loadWeights(program, source(dtype, bytes), options)).rejects.toMatchObject({
    code: "bad_weights",
  });
});
