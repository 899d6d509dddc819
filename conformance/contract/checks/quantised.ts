import { itemAt } from "../../../models/certain.ts";
import type { Device, StoredDtype } from "../../../models/index.ts";
import type { Check } from "../check.ts";
import { Random } from "../random.ts";
import { randomFill, TINIES, type Tiny, tiny } from "../tiny.ts";
import { openTwin } from "../twin.ts";

const made = [
  "gqa, f32",
  "wide, f32",
  "experts, f32",
  "qk-norm, sliding window on some layers, bf16",
  "learned positions, transposed matrices, no rope, f32",
];

/** Blocks whose range is near the middle of two float16 scales, and whose values are near the middle of two steps. */
const between = (dtype: "q8" | "q4"): Tiny => {
  const sizes = { hidden_size: 64, num_attention_heads: 4, intermediate_size: 96, vocab_size: 61 };
  const config = { model_type: "llama", num_hidden_layers: 2, ...sizes };
  return tiny(`values between two steps, ${dtype}`, "F32", config, (spec, random) => {
    if (spec.shape.length === 1) return randomFill(spec, random);
    const values = new Float32Array(itemAt(spec.shape, 0) * itemAt(spec.shape, 1));
    for (let at = 0; at < values.length; at += 32) values.set(BLOCKS[dtype](random), at);
    return values;
  });
};

const BLOCKS = { q8: betweenBlock8, q4: betweenBlock4 };

function betweenBlock8(random: Random): number[] {
  const { largest, scale } = betweenScales(127, random);
  return Array.from({ length: 32 }, (_, i) => {
    const sign = random.below(2) === 0 ? -1 : 1;
    if (i === 0) return sign * largest;
    return sign * neighbour((random.below(127) + 0.5) * scale, random.below(3) - 1);
  });
}

function betweenBlock4(random: Random): number[] {
  const { largest: range, scale } = betweenScales(15, random);
  // An offset of 11 bits, and for a third each what is next to the middle above it, and below.
  const unit = 2 ** -14;
  const halves = itemAt([0, 0.5, -0.5], random.below(3));
  const low = 1024 + random.below(1023);
  const offset = -(low + (halves === 0 ? 0 : low % 2)) * unit;
  const least = halves === 0 ? offset : offset + halves * unit;
  return Array.from({ length: 32 }, (_, i) => {
    if (i === 0) return least;
    if (i === 1) return Math.fround(offset + range);
    const value = Math.fround(offset + (random.below(15) + 0.5) * scale);
    return value === 0 ? 0 : Math.sign(value) * neighbour(Math.abs(value), random.below(3) - 1);
  });
}

/** A number of `most` scales, near the middle of two of 11 bits about 0.2 / most, and the scale that it is rounded to. */
function betweenScales(most: number, random: Random): { largest: number; scale: number } {
  const unit = 2 ** Math.floor(Math.log2(0.2 / most) - 10);
  const low = 1024 + random.below(1023);
  const beside = random.below(3) - 1;
  const largest = neighbour(most * (low + 0.5) * unit, beside);
  return { largest, scale: (beside === 0 ? low + (low % 2) : low + Math.max(0, beside)) * unit };
}

/** The float32 before or after a positive one; 0 for itself. */
function neighbour(value: number, by: number): number {
  const bits = new Int32Array(Float32Array.of(value).buffer);
  bits[0]! += by;
  return new Float32Array(bits.buffer)[0]!;
}

/** Quantised weights are what the rule makes of them (`truth/quantise.ts`), and are computed with as they are. */
export const quantisedChecks: Check[] = (["q8", "q4"] as const).flatMap((dtype) =>
  [...TINIES.filter(({ name }) => made.includes(name)), between(dtype)].map((tiny) => ({
    name: `${dtype}: blocks of 32 as the rule has them (${tiny.name})`,
    device: (create: () => Promise<Device>) => quantised(create, tiny, dtype),
  })),
);

async function quantised(create: () => Promise<Device>, tiny: Tiny, dtype: "q8" | "q4"): Promise<void> {
  const device = await create();
  try {
    if (!(device.dtypes as readonly StoredDtype[]).includes(dtype)) return;
    const twin = await openTwin(device, tiny, dtype);
    const random = new Random(97);
    const sequence = twin.sequence();
    for (const length of [1, 3, 21]) {
      const tokens = random.tokens(length, twin.program.d_vocab);
      await twin.run({ sequence, tokens, logits: "all", captures: [0, 2, 4, 9] });
    }
    await twin.dispose();
  } finally {
    await device.dispose();
  }
}
