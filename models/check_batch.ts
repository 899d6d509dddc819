import type { AccumulatorId, BlockId, HookSetId, StepEntry } from "./device.ts";
import { CapstanError } from "./errors.ts";
import { followRefused } from "./follow.ts";
import type { SiteId } from "./hooks.ts";

/** What a batch is checked against: a model's sizes, and what callers have of it. */
export interface BatchLimits {
  d_vocab: number;
  n_ctx: number;
  block_size: number;
  /** Whether the model has ropes that depend on length (`ropeLengths`). */
  by_length: boolean;
  /** Sites that the program passes (`programSites`). */
  sites: ReadonlySet<SiteId>;
  hasBlock: (id: BlockId) => boolean;
  hasHooks: (id: HookSetId) => boolean;
  hasAccumulator: (id: AccumulatorId) => boolean;
  /** Whether this entry of the last step drew a token. */
  drew: (entry: number) => boolean;
}

/**
 * Refuses a batch that does not fit, before anything runs: for devices that are written in TypeScript.
 *
 * @throws CapstanError `bad_request`; `context_overflow` for positions past n_ctx
 */
export function checkBatch(batch: readonly StepEntry[], limits: BatchLimits): void {
  for (const [index, entry] of batch.entries()) {
    checkTokens(entry, index, limits);
    checkPosition(entry, index, limits);
    if (limits.by_length) checkRopeLengths(entry, index);
    checkWants(entry, index, limits);
  }
}

function checkTokens({ tokens, follows }: StepEntry, index: number, { d_vocab, drew }: BatchLimits): void {
  if (tokens.length === 0) throw refused(index, "at least one token", "none");
  if (follows !== null) {
    if (tokens.length !== 1 || !drew(follows)) throw followRefused(index, follows);
    return;
  }
  const wrong = tokens.find((id) => id < 0 || id >= d_vocab);
  if (wrong !== undefined) throw refused(index, `token ids below ${d_vocab}`, `${wrong}`);
}

function checkPosition(
  { position, tokens, blocks }: StepEntry,
  index: number,
  { n_ctx, block_size, hasBlock }: BatchLimits,
): void {
  if (!Number.isSafeInteger(position) || position < 0) {
    throw refused(index, "a position from 0", `${position}`);
  }
  const end = position + tokens.length;
  if (end > n_ctx) {
    throw new CapstanError("context_overflow", {
      action: entryAction(index),
      need: `positions below n_ctx (${n_ctx})`,
      found: `${end - 1}`,
    });
  }
  const need = Math.ceil(end / block_size);
  if (blocks.length < need) throw refused(index, `${need} KV blocks`, `${blocks.length}`);
  const gone = blocks.find((id) => !hasBlock(id));
  if (gone !== undefined) throw refused(index, "allocated KV blocks", `block ${gone}`);
}

/**
 * Refuses an entry without a length of its call for each of its tokens: for models with ropes that depend on it.
 *
 * @throws CapstanError `bad_request`
 */
export function checkRopeLengths({ rope_lengths, tokens, position }: StepEntry, index: number): void {
  if (rope_lengths?.length !== tokens.length) {
    const need = `the length of its call for each of its ${tokens.length} tokens`;
    throw refused(index, need, `${rope_lengths?.length ?? "none"}`);
  }
  const short = rope_lengths.findIndex((length, token) => length <= position + token);
  if (short < 0) return;
  const need = `a call that reaches beyond position ${position + short}`;
  throw refused(index, need, `one of length ${rope_lengths[short]}`);
}

function checkWants(
  { hooks, captures, accumulate, sample, tokens }: StepEntry,
  index: number,
  { d_vocab, sites, hasHooks, hasAccumulator }: BatchLimits,
): void {
  if (hooks !== 0 && !hasHooks(hooks)) throw refused(index, "a hook set that was added", `${hooks}`);
  checkSites(captures, sites, entryAction(index));
  for (const { id, start, end } of accumulate) {
    if (!hasAccumulator(id)) throw refused(index, "an accumulator that was added", `${id}`);
    if (!(start >= 0 && start <= end && end <= tokens.length)) {
      throw refused(index, `a span of its ${tokens.length} tokens`, `[${start}, ${end})`);
    }
  }
  const unknown = (id: number) => !(id >= 0 && id < d_vocab);
  const wrong = sample?.history?.find(unknown) ?? sample?.logit_bias.find(({ id }) => unknown(id))?.id;
  if (wrong !== undefined) throw refused(index, `ids below ${d_vocab} to sample with`, `${wrong}`);
}

/**
 * Refuses sites that no op of a program passes: a hook there would silently do nothing.
 *
 * @throws CapstanError `bad_request`
 */
export function checkSites(asked: readonly SiteId[], passed: ReadonlySet<SiteId>, action: string): void {
  const wrong = asked.find((site) => !passed.has(site));
  if (wrong === undefined) return;
  throw new CapstanError("bad_request", { action, need: "sites that the program passes", found: `${wrong}` });
}

function refused(index: number, need: string, found: string): CapstanError {
  return new CapstanError("bad_request", { action: entryAction(index), need, found });
}

function entryAction(index: number): string {
  return `run entry ${index} of a step`;
}
