import { Random } from "../conformance/contract/random.ts";
import { itemAt } from "../models/certain.ts";
import { cpuTime } from "../sdk/platform/index.ts";
import type { BenchDtype, BenchEngine } from "./engine.ts";

/** What is fed in each round: a prompt, then tokens one by one. */
export interface Load {
  n_prompt: number;
  n_decode: number;
  rounds: number;
  d_vocab: number;
}

/** Tokens a second, medians over the rounds. */
export interface Rate {
  prefill: number;
  decode: number;
}

export interface Speed {
  name: string;
  dtype: BenchDtype;
  /** By the clock on the wall. */
  tok_s: Rate;
  /** By the processor time the process used: what other work on the machine distorts less. */
  tok_cpu_s: Rate;
}

export interface Measured {
  speeds: Speed[];
  /**
   * Relative L2 distance of each engine's logits from those of the first one of its dtype, the worst of all rounds; null of an
   * engine that gives none.
   */
  logits_error: (number | null)[];
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
  const runs = engines.map((engine) => ({ engine, turns: [] as Turn[], error: null as number | null }));
  for (let round = 0; round <= load.rounds; round++) {
    const random = new Random(round);
    const prompt = random.tokens(load.n_prompt, load.d_vocab);
    const more = random.tokens(load.n_decode, load.d_vocab);
    const firsts = new Map<BenchDtype, readonly (Float32Array | null)[]>();
    for (const run of runs) {
      const { engine, turns } = run;
      signal.throwIfAborted();
      on_round(round, engine.name);
      const { turn, logits } = await once(engine, prompt, more);
      if (round > 0) turns.push(turn);
      const first = firsts.get(engine.dtype) ?? logits;
      firsts.set(engine.dtype, first);
      for (const [i, row] of logits.entries()) {
        const expected = first[i] ?? null;
        if (row === null || expected === null) continue;
        run.error = Math.max(run.error ?? 0, relativeDistance(expected, row));
      }
    }
  }
  const speeds = runs.map(({ engine: { name, dtype }, turns }) => ({
    name,
    dtype,
    tok_s: rate(turns, load, "wall"),
    tok_cpu_s: rate(turns, load, "cpu"),
  }));
  return { speeds, logits_error: runs.map(({ error }) => error) };
}

/** Milliseconds of one engine's turn, by either clock. */
type Turn = Record<"wall" | "cpu", { prefill: number; decode: number }>;

function rate(turns: readonly Turn[], { n_prompt, n_decode }: Load, clock: keyof Turn): Rate {
  return {
    prefill: (1000 * n_prompt) / median(turns.map((turn) => turn[clock].prefill)),
    decode: (1000 * n_decode) / median(turns.map((turn) => turn[clock].decode)),
  };
}

/** One engine's turn; `logits` after the prompt and after the last token. */
async function once(
  engine: BenchEngine,
  prompt: Int32Array,
  more: Int32Array,
): Promise<{ turn: Turn; logits: (Float32Array | null)[] }> {
  const clocks = () => ({ wall: performance.now(), cpu: cpuTime() });
  const start = clocks();
  const first = await engine.prompt(prompt);
  const filled = clocks();
  let last = first;
  for (const token of more) last = await engine.next(token);
  const end = clocks();
  const turn = (clock: keyof Turn) => ({
    prefill: filled[clock] - start[clock],
    decode: end[clock] - filled[clock],
  });
  return { turn: { wall: turn("wall"), cpu: turn("cpu") }, logits: [first, last] };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? itemAt(sorted, middle)
    : (itemAt(sorted, middle - 1) + itemAt(sorted, middle)) / 2;
}

/** A median and the range it lies in with 95 % (by order statistics; the whole range where values are few). */
export function medianRange(values: readonly number[]): { median: number; low: number; high: number } {
  const sorted = [...values].sort((a, b) => a - b);
  const reach = 0.98 * Math.sqrt(sorted.length);
  const at = (place: number) => itemAt(sorted, Math.min(sorted.length - 1, Math.max(0, Math.round(place))));
  const middle = (sorted.length - 1) / 2;
  return { median: median(values), low: at(middle - reach), high: at(middle + reach) };
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
