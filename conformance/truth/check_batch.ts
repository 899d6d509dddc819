import { CapstanError, type Program, programSites, type StepEntry } from "../../models/index.ts";
import type { Cache } from "./cache.ts";

/** What a batch is checked against. */
export interface BatchLimits {
  program: Program;
  cache: Cache;
  n_ctx: number;
  has_hooks: (id: number) => boolean;
  has_accumulator: (id: number) => boolean;
}

/**
 * Refuses a batch that does not fit, before anything runs.
 *
 * @throws CapstanError `bad_request`; `context_overflow` for positions past n_ctx
 */
export function checkBatch(batch: readonly StepEntry[], limits: BatchLimits): void {
  for (const [index, entry] of batch.entries()) {
    checkTokens(entry, index, limits);
    checkBlocks(entry, index, limits);
    checkWants(entry, index, limits);
  }
}

function checkTokens(entry: StepEntry, index: number, { program, n_ctx }: BatchLimits): void {
  const { tokens, position } = entry;
  if (tokens.length === 0) throw bad(index, "at least one token", "none");
  for (const id of tokens) {
    if (id < 0 || id >= program.d_vocab) throw bad(index, `token ids below ${program.d_vocab}`, `${id}`);
  }
  if (!Number.isSafeInteger(position) || position < 0) throw bad(index, "a position from 0", `${position}`);
  if (position + tokens.length > n_ctx) {
    throw new CapstanError("context_overflow", {
      action: `run entry ${index} of a step`,
      need: `positions below n_ctx (${n_ctx})`,
      found: `${position + tokens.length - 1}`,
    });
  }
}

function checkBlocks(entry: StepEntry, index: number, { cache }: BatchLimits): void {
  const need = Math.ceil((entry.position + entry.tokens.length) / cache.block_size);
  if (entry.blocks.length < need) throw bad(index, `${need} KV blocks`, `${entry.blocks.length}`);
  for (const id of entry.blocks) {
    if (!cache.has(id)) throw bad(index, "allocated KV blocks", `block ${id}`);
  }
}

function checkWants(entry: StepEntry, index: number, limits: BatchLimits): void {
  const { program } = limits;
  if (entry.hooks !== 0 && !limits.has_hooks(entry.hooks)) {
    throw bad(index, "a hook set that was added", `${entry.hooks}`);
  }
  const sites = programSites(program);
  for (const site of entry.captures) {
    if (!sites.includes(site)) throw bad(index, "sites that the program passes", `${site}`);
  }
  for (const { id, start, end } of entry.accumulate) {
    if (!limits.has_accumulator(id)) throw bad(index, "an accumulator that was added", `${id}`);
    if (!(start >= 0 && start <= end && end <= entry.tokens.length)) {
      throw bad(index, `a span of its ${entry.tokens.length} tokens`, `[${start}, ${end})`);
    }
  }
  const ids = [...(entry.sample?.history ?? []), ...(entry.sample?.logit_bias ?? []).map(({ id }) => id)];
  for (const id of ids) {
    if (!(id >= 0 && id < program.d_vocab))
      throw bad(index, `ids below ${program.d_vocab} to sample with`, `${id}`);
  }
}

function bad(index: number, need: string, found: string): CapstanError {
  return new CapstanError("bad_request", { action: `run entry ${index} of a step`, need, found });
}
