import type { Hook } from "../models/index.ts";
import type { Model } from "../sdk/types.ts";

/** An engine under the stopwatch: one sequence at a time. */
export interface BenchEngine {
  /** Name and version, for the table. */
  readonly name: string;
  /** Forgets the sequence and feeds a prompt; logits of its last token [d_vocab]. */
  prompt(tokens: Int32Array): Promise<Float32Array>;
  /** Feeds one token more; its logits [d_vocab]. */
  next(token: number): Promise<Float32Array>;
  dispose(): Promise<void>;
}

/** Our engine through its public API: a session. */
export async function ourEngine(
  name: string,
  model: Model,
  hooks: readonly Hook[] = [],
): Promise<BenchEngine> {
  let session = await model.session({ hooks });
  return {
    name,
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
