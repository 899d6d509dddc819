import { present } from "../../models/certain.ts";
import { loadOn } from "../../sdk/inference/load.ts";
import type { FileSource, LoadOptions, Model } from "../../sdk/types.ts";
import { QUANTISED_BOUNDS } from "../bounds.ts";
import { createTruthDevice, type QuantisedDtype } from "../truth/index.ts";
import { cellsOf, worstOf } from "./compare.ts";
import { runGenerate, runPass } from "./passes.ts";
import type { Reference } from "./reference.ts";
import type { Pass, QuantisationLoss } from "./report.ts";

/** The f64 truth of a case with its weights quantised: it judges in the reference's place, and is compared with it. */
export class QuantisedTruth {
  readonly #model: Model;
  readonly #dtype: QuantisedDtype;

  private constructor(model: Model, dtype: QuantisedDtype) {
    this.#model = model;
    this.#dtype = dtype;
  }

  static async load(files: FileSource, dtype: QuantisedDtype, options: LoadOptions): Promise<QuantisedTruth> {
    const model = await loadOn(files, { ...options, dtype }, async () => createTruthDevice());
    return new QuantisedTruth(model, dtype);
  }

  /**
   * The reference as it would be of the quantised weights: the prompt's greedy continuation under the hooks, and what
   * is computed over both.
   *
   * @param pass in which the reference was made
   */
  async remake(reference: Reference, pass: Pass, signal: AbortSignal | undefined): Promise<Reference> {
    const prompt = reference.tokens.subarray(0, reference.n_prompt);
    const tokens = reference.is_written
      ? Int32Array.of(...prompt, ...(await runGenerate(this.#model, reference, signal)))
      : reference.tokens;
    const { captures, logits } = await runPass(this.#model, pass, { ...reference, tokens }, signal);
    const sites = reference.sites.map((one) => ({ ...one, values: present(captures[one.site], one.site) }));
    return { ...reference, tokens, sites, logits };
  }

  /** How far quantising alone leads from the reference, over the reference's tokens. */
  async lossOf(
    run: string,
    reference: Reference,
    pass: Pass,
    signal: AbortSignal | undefined,
  ): Promise<QuantisationLoss> {
    const compared_with = QUANTISED_BOUNDS[this.#dtype];
    const computed = await runPass(this.#model, pass, reference, signal);
    const { bound: _, ...worst } = worstOf(cellsOf(reference, computed, () => compared_with));
    return { compared_with, worst: { ...worst, name: run } };
  }

  dispose(): Promise<void> {
    return this.#model.dispose();
  }
}

/** The largest of several; null of none. */
export function worstLoss(losses: readonly QuantisationLoss[]): QuantisationLoss | null {
  const by_size = losses.toSorted((a, b) => b.worst.relative_error - a.worst.relative_error);
  return by_size[0] ?? null;
}
