import type { Hook } from "../../models/index.ts";
import type { Model } from "../../sdk/types.ts";
import { Random } from "../contract/random.ts";
import { ourEngine } from "./engine.ts";
import { median } from "./measure.ts";

/** What caps cost, as the ratio of medians of a token's time: 1.01 is one per cent. */
export interface CapCost {
  layers: number;
  prefill_ratio: number;
  decode_ratio: number;
}

/**
 * Two sequences side by side, one of them capped on half the layers, fed the same tokens in turns of one token:
 * so close together that the machine's drift falls on both alike. Which goes first alternates.
 */
export async function measureCapCost(
  model: Model,
  load: { n_prompt: number; n_decode: number; rounds: number },
  signal: AbortSignal,
): Promise<CapCost> {
  const hooks = capsOnHalf(model);
  const engines = [await ourEngine("plain", model), await ourEngine("capped", model, hooks)];
  const times = engines.map(() => ({ prefill: [] as number[], decode: [] as number[] }));
  const timed = async (e: number, phase: "prefill" | "decode", run: () => Promise<unknown>) => {
    const start = performance.now();
    await run();
    times[e]![phase].push(performance.now() - start);
  };
  for (let round = 0; round < load.rounds; round++) {
    const random = new Random(1000 + round);
    const prompt = random.tokens(load.n_prompt, model.spec.d_vocab);
    for (const e of order(round)) await timed(e, "prefill", () => engines[e]!.prompt(prompt));
    for (let n = 0; n < load.n_decode; n++) {
      signal.throwIfAborted();
      const token = random.below(model.spec.d_vocab);
      for (const e of order(round + n)) await timed(e, "decode", () => engines[e]!.next(token));
    }
  }
  for (const engine of engines) await engine.dispose();
  const [plain, capped] = [times[0]!, times[1]!];
  return {
    layers: hooks.length,
    prefill_ratio: median(capped.prefill) / median(plain.prefill),
    decode_ratio: median(capped.decode) / median(plain.decode),
  };
}

function order(turn: number): [number, number] {
  return turn % 2 === 0 ? [0, 1] : [1, 0];
}

/** Floors at the middle layers; about half of the tokens are below them, so they do their work. */
function capsOnHalf({ spec }: Model): Hook[] {
  const first = Math.floor(spec.n_layers / 4);
  const random = new Random(7);
  return Array.from({ length: Math.floor(spec.n_layers / 2) }, (_, i) => ({
    kind: "cap" as const,
    site: `blocks.${first + i}.hook_resid_post` as const,
    vector: random.vector(spec.d_model),
    floor: 0,
  }));
}
