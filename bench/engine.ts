import type { Hook } from "../models/index.ts";
import type { Model } from "../sdk/types.ts";

/** Ways to keep weights that engines are compared in: float32, and blocks of 32 in 8 and in 4 bits. */
export const BENCH_DTYPES = ["f32", "q8", "q4"] as const;
export type BenchDtype = (typeof BENCH_DTYPES)[number];

/** An engine under the stopwatch: one sequence at a time. */
export interface BenchEngine {
  /** Name and version, for the table. */
  readonly name: string;
  /** How weights are kept: engines are compared where it is the same. */
  readonly dtype: BenchDtype;
  /** Forgets the sequence and feeds a prompt; logits of its last token [d_vocab], null from an engine that gives none. */
  prompt(tokens: Int32Array): Promise<Float32Array | null>;
  /** Feeds one token more; its logits [d_vocab], or null. */
  next(token: number): Promise<Float32Array | null>;
  dispose(): Promise<void>;
}

/** Gives logits always. */
interface OurEngine extends BenchEngine {
  prompt(tokens: Int32Array): Promise<Float32Array>;
  next(token: number): Promise<Float32Array>;
}

/** Our engine through its public API: a session. */
export async function ourEngine(
  name: string,
  dtype: BenchDtype,
  model: Model,
  hooks: readonly Hook[] = [],
): Promise<OurEngine> {
  let session = await model.session({ hooks });
  return {
    name,
    dtype,
    async prompt(tokens) {
      await session.dispose();
      session = await model.session({ hooks });
      return (await session.forward(tokens, { logits: "last" })).logits;
    },
    async next(token) {
      return (await session.forward([token], { logits: "last" })).logits;
    },
    dispose: () => session.dispose(),
  };
}
