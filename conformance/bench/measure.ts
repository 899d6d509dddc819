import { Random } from "../contract/random.ts";
import type { BenchEngine } from "./engine.ts";

/** What is fed in each round: a prompt, then tokens one by one. */
export interface Load {
  n_prompt: number;
  n_decode: number;
  rounds: number;
  d_vocab: number;
}

export interface Speed {
  name: string;
  /** Medians over the rounds, tokens a second. */
  prefill_tok_s: number;
  decode_tok_s: number;
}

export interface Measured {
  speeds: Speed[];
  /** Relative L2 distance of each engine's logits from the first one's, the worst of all rounds. */
  logits_error: number[];
}

/**
 * Times engines turn by turn (A B A B ...) in one run on the same tokens, since a machine's speed drifts more
 * than engines differ. The first round is not counted. Prompts differ by round: no cache helps.
 */
export async function measure(
  engines: readonly BenchEngine[],
  load: Load,
  on_round: (round: number, engine: string) => void,
  signal: AbortSignal,
): Promise<Measured> {
  const times = engines.map(() => ({ prefill: [] as number[], decode: [] as number[] }));
  const logits_error = engines.map(() => 0);
  for (let round = 0; round <= load.rounds; round++) {
    const random = new Random(round);
    const prompt = random.tokens(load.n_prompt, load.d_vocab);
    const more = random.tokens(load.n_decode, load.d_vocab);
    let first: Float32Array[] = [];
    for (const [e, engine] of engines.entries()) {
      signal.throwIfAborted();
      on_round(round, engine.name);
      const { prefill_ms, decode_ms, logits } = await once(engine, prompt, more);
      if (round > 0) times[e]!.prefill.push(prefill_ms);
      if (round > 0) times[e]!.decode.push(decode_ms);
      if (e === 0) first = logits;
      for (const [i, row] of logits.entries()) {
        logits_error[e] = Math.max(logits_error[e]!, relativeDistance(first[i]!, row));
      }
    }
  }
  const speeds = engines.map(({ name }, e) => ({
    name,
    prefill_tok_s: (1000 * load.n_prompt) / median(times[e]!.prefill),
    decode_tok_s: (1000 * load.n_decode) / median(times[e]!.decode),
  }));
  return { speeds, logits_error };
}

/** One engine's turn; `logits` after the prompt and after the last token. */
async function once(
  engine: BenchEngine,
  prompt: Int32Array,
  more: Int32Array,
): Promise<{ prefill_ms: number; decode_ms: number; logits: Float32Array[] }> {
  const start = performance.now();
  const first = await engine.prompt(prompt);
  const filled = performance.now();
  let last = first;
  for (const token of more) last = await engine.next(token);
  return { prefill_ms: filled - start, decode_ms: performance.now() - filled, logits: [first, last] };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function relativeDistance(expected: Float32Array, got: Float32Array): number {
  let squares = 0;
  let norm = 0;
  for (const [i, x] of expected.entries()) {
    squares += (x - got[i]!) ** 2;
    norm += x * x;
  }
  return Math.sqrt(squares / norm);
}
