import type { Hook } from "../../models/index.ts";
import { cpuTime } from "../../sdk/platform/index.ts";
import type { Model } from "../../sdk/types.ts";
import { Random } from "../contract/random.ts";
import { ourEngine } from "./engine.ts";
import { median } from "./measure.ts";

/** What caps cost, as the ratio of medians of processor time: 1.01 is one per cent. */
export interface CapCost {
  layers: number;
  prefill_ratio: number;
  decode_ratio: number;
}

/** Tokens of a prompt: short, so that turns are many and close together. */
const CHUNK = 32;

/**
 * Two sequences side by side, one of them capped on half the layers, fed the same tokens turn by turn:
 * so close together that the machine's drift falls on both alike. Which goes first alternates.
 *
 * @param load turns of a prompt each, and then of a token each
 */
export async function measureCapCost(
  model: Model,
  load: { n_prefill: number; n_decode: number },
  signal: AbortSignal,
): Promise<CapCost> {
  const hooks = capsOnHalf(model);
  const engines = [await ourEngine("plain", model), await ourEngine("capped", model, hooks)];
  const times = engines.map(() => ({ prefill: [] as number[], decode: [] as number[] }));
  const timed = async (e: number, phase: "prefill" | "decode", run: () => Promise<unknown>) => {
    const start = cpuTime();
    await run();
    times[e]![phase].push(cpuTime() - start);
  };
  const random = new Random(1000);
  for (let turn = 0; turn < load.n_prefill; turn++) {
    signal.throwIfAborted();
    const prompt = random.tokens(CHUNK, model.spec.d_vocab);
    for (const e of order(turn)) await timed(e, "prefill", () => engines[e]!.prompt(prompt));
  }
  for (let turn = 0; turn < load.n_decode; turn++) {
    signal.throwIfAborted();
    const token = random.below(model.spec.d_vocab);
    for (const e of order(turn)) await timed(e, "decode", () => engines[e]!.next(token));
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
