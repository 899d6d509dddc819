import { check } from "../assert.ts";
import type { Check } from "../check.ts";
import { GREEDY } from "../params.ts";
import { Random } from "../random.ts";
import { TINIES } from "../tiny.ts";
import type { Twin } from "../twin.ts";
import { everySite } from "./sites.ts";

/** The same tokens however they are cut into steps: whole, one by one, in uneven chunks. */
export const forwardChecks: Check[] = TINIES.flatMap((tiny): Check[] => [
  { name: `prefill: every site and all logits (${tiny.name})`, tiny, run: (twin) => inPieces(twin, [21]) },
  {
    name: `step by step after a short prompt (${tiny.name})`,
    tiny,
    run: (twin) => inPieces(twin, [3, ...new Array<number>(18).fill(1)]),
  },
  { name: `prompt in uneven chunks (${tiny.name})`, tiny, run: (twin) => inPieces(twin, [7, 1, 2, 16, 5]) },
  {
    name: `a prompt of many tiles, then decode (${tiny.name})`,
    tiny,
    run: (twin) => inPieces(twin, [131, 1, 1]),
  },
  { name: `greedy decode of its own tokens (${tiny.name})`, tiny, run: greedyDecode },
]);

/** Files of a narrower type kept as float32: the same values, so the same bounds. */
export const widenedChecks: Check[] = [TINIES[2], TINIES[3]].map((tiny) => ({
  name: `dtype f32 keeps every value (${tiny.name})`,
  tiny,
  dtype: "f32",
  run: (twin) => inPieces(twin, [11, 1, 1]),
}));

async function inPieces(twin: Twin, pieces: readonly number[]): Promise<void> {
  const random = new Random(pieces.length);
  const sequence = twin.sequence();
  for (const [i, length] of pieces.entries()) {
    const tokens = random.tokens(length, twin.program.d_vocab);
    if (i === 0) tokens[0] = 0; // the tiny embedding row
    await twin.run({
      sequence,
      tokens,
      ends_call: i === pieces.length - 1,
      logits: "all",
      captures: everySite(twin),
    });
  }
}

async function greedyDecode(twin: Twin): Promise<void> {
  const sequence = twin.sequence();
  let tokens: ArrayLike<number> = new Random(5).tokens(6, twin.program.d_vocab);
  for (let n = 0; n < 8; n++) {
    const { truth, device } = await twin.run({ sequence, tokens, sample: GREEDY });
    check(device.token >= 0, "a token");
    tokens = [truth.token];
  }
}
