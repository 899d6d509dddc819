import type { StepEntry } from "../models/device.ts";
import { CapstanError } from "../models/errors.ts";
import { SITE_KINDS } from "../models/hooks.ts";
import type { Program } from "../models/program.ts";
import { BLOCK_SIZE } from "./cache.ts";
import { refusedEntry } from "./refusals.ts";
import type { Resources } from "./resources.ts";
import { DRAWN_SLOTS } from "./results.ts";

/** Refuses a batch that does not fit, before anything runs. @throws CapstanError `bad_request`, `context_overflow` */
export function checkBatch(
  batch: readonly StepEntry[],
  program: Program,
  n_ctx: number,
  resources: Resources,
  /** Entries of the step before that drew a token. */
  drew: ReadonlySet<number>,
): void {
  if (batch.length > DRAWN_SLOTS)
    throw refusedEntry(DRAWN_SLOTS, `at most ${DRAWN_SLOTS} entries`, `${batch.length}`);
  for (const [index, entry] of batch.entries()) {
    checkTokens(entry, index, program, n_ctx, drew);
    checkBlocks(entry, index, resources);
    checkWants(entry, index, program, resources);
  }
}

function checkTokens(
  { tokens, position, follows }: StepEntry,
  index: number,
  { d_vocab }: Program,
  n_ctx: number,
  drew: ReadonlySet<number>,
): void {
  if (tokens.length === 0) throw refusedEntry(index, "at least one token", "none");
  if (follows === null) {
    const wrong = tokens.find((id) => id < 0 || id >= d_vocab);
    if (wrong !== undefined) throw refusedEntry(index, `token ids below ${d_vocab}`, `${wrong}`);
  } else if (tokens.length !== 1 || !drew.has(follows)) {
    throw refusedEntry(
      index,
      "one token, to follow an entry of the last step that drew one",
      `entry ${follows}`,
    );
  }
  if (!Number.isSafeInteger(position) || position < 0)
    throw refusedEntry(index, "a position from 0", `${position}`);
  if (position + tokens.length > n_ctx) {
    throw new CapstanError("context_overflow", {
      action: `run entry ${index} of a step`,
      need: `positions below n_ctx (${n_ctx})`,
      found: `${position + tokens.length - 1}`,
    });
  }
}

function checkBlocks({ position, tokens, blocks }: StepEntry, index: number, { cache }: Resources): void {
  const need = Math.ceil((position + tokens.length) / BLOCK_SIZE);
  if (blocks.length < need) throw refusedEntry(index, `${need} KV blocks`, `${blocks.length}`);
  for (const id of blocks)
    if (!cache.has(id)) throw refusedEntry(index, "allocated KV blocks", `block ${id}`);
}

function checkWants(
  { hooks, captures, accumulate, sample, tokens }: StepEntry,
  index: number,
  { n_layers, d_vocab }: Program,
  resources: Resources,
): void {
  if (hooks !== 0 && resources.hooks.get(hooks) === undefined) {
    throw refusedEntry(index, "a hook set that was added", `${hooks}`);
  }
  for (const site of captures) {
    if (!(site >= 0 && site < n_layers * SITE_KINDS.length))
      throw refusedEntry(index, "known sites", `${site}`);
  }
  for (const { id, start, end } of accumulate) {
    if (resources.accumulators.get(id) === undefined) {
      throw refusedEntry(index, "an accumulator that was added", `${id}`);
    }
    if (!(start >= 0 && start <= end && end <= tokens.length)) {
      throw refusedEntry(index, `a span of its ${tokens.length} tokens`, `[${start}, ${end})`);
    }
  }
  const known = (id: number) => id >= 0 && id < d_vocab;
  const wrong =
    sample?.history?.find((id) => !known(id)) ?? sample?.logit_bias.find(({ id }) => !known(id))?.id;
  if (wrong !== undefined) throw refusedEntry(index, `ids below ${d_vocab} to sample with`, `${wrong}`);
}
