import { Random } from "../conformance/contract/random.ts";
import type { Hook } from "../models/index.ts";
import { cpuTime } from "../sdk/platform/index.ts";
import type { Model } from "../sdk/types.ts";
import { type BenchEngine, ourEngine } from "./engine.ts";
import { medianRange } from "./measure.ts";

/** A median and where it lies with 95 %. */
export type Ratio = ReturnType<typeof medianRange>;

/** What caps cost, by the ratio of processor times: 1.01 is one per cent. */
export interface CapCost {
  layers: number;
  prefill: Ratio;
  decode: Ratio;
}

/** Tokens of a prompt: short, so that turns are many and close together. */
const CHUNK = 32;

/**
 * Two sequences side by side, one of them capped on half the layers, fed the same tokens turn by turn:
 * so close together that the machine's drift falls on both alike. Which goes first alternates. What is reported is
 * the median of the turns' ratios.
 *
 * @param load turns of a prompt each, and then of a token each
 */
export async function measureCapCost(
  model: Model,
  load: { n_prefill: number; n_decode: number },
  signal: AbortSignal,
): Promise<CapCost> {
  const hooks = capsOnHalf(model);
  const plain = await ourEngine("plain", "f32", model);
  const capped = await ourEngine("capped", "f32", model, hooks);
  /** The capped one's time over the plain one's, both of this turn. */
  const ratio = async (turn: number, feed: (engine: BenchEngine) => Promise<unknown>) => {
    const timed = async (engine: BenchEngine) => {
      signal.throwIfAborted();
      const start = cpuTime();
      await feed(engine);
      return cpuTime() - start;
    };
    const first = turn % 2 === 0 ? await timed(plain) : undefined;
    const of_capped = await timed(capped);
    return of_capped / (first ?? (await timed(plain)));
  };
  const random = new Random(1000);
  const prefill: number[] = [];
  for (let turn = 0; turn < load.n_prefill; turn++) {
    const prompt = random.tokens(CHUNK, model.spec.d_vocab);
    prefill.push(await ratio(turn, (engine) => engine.prompt(prompt)));
  }
  const decode: number[] = [];
  for (let turn = 0; turn < load.n_decode; turn++) {
    const token = random.below(model.spec.d_vocab);
    decode.push(await ratio(turn, (engine) => engine.next(token)));
  }
  for (const engine of [plain, capped]) await engine.dispose();
  return { layers: hooks.length, prefill: medianRange(prefill), decode: medianRange(decode) };
}

/** Floors at the middle layers; about half of the tokens are below them, so they do their work. */
export function capsOnHalf({ spec }: Model): Hook[] {
  const first = Math.floor(spec.n_layers / 4);
  const random = new Random(7);
  return Array.from({ length: Math.floor(spec.n_layers / 2) }, (_, i) => ({
    kind: "cap" as const,
    site: `blocks.${first + i}.hook_resid_post` as const,
    vector: random.vector(spec.d_model),
    floor: 0,
  }));
}
