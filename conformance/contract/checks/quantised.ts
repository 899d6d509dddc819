import type { Device, StoredDtype } from "../../../models/index.ts";
import type { Check } from "../check.ts";
import { Random } from "../random.ts";
import { TINIES, type Tiny } from "../tiny.ts";
import { openTwin } from "../twin.ts";

const made = [
  "gqa, f32",
  "wide, f32",
  "experts, f32",
  "qk-norm, sliding window on some layers, bf16",
  "learned positions, turned matrices, no rope, f32",
];

/** Quantised weights are what the rule makes of them (`truth/quantise.ts`), and are computed with as they are. */
export const quantisedChecks: Check[] = (["q8", "q4"] as const).flatMap((dtype) =>
  TINIES.filter(({ name }) => made.includes(name)).map((tiny) => ({
    name: `${dtype}: symmetric blocks of 32 with a float16 scale (${tiny.name})`,
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
