import { present } from "../../../models/certain.ts";
import { cutEntry, type StepEntry, type StepResult } from "../../../models/index.ts";
import { CallProgress } from "./call_progress.ts";
import type { PrefixCache } from "./prefix_cache.ts";
import type { Call, CallResult, Task } from "./task.ts";

/** A sequence's part of a step: the next `count` tokens of a call, from its token `start`. */
export interface BatchSlot {
  scheduled: ScheduledSequence;
  /** The sequence's epoch when the slot was made: results of an earlier one are dropped. */
  epoch: number;
  progress: CallProgress;
  /** Whether the tokens are of the past, computed again after a preemption. */
  restores: boolean;
  start: number;
  count: number;
  /** The slot of the last step that draws its token; null for tokens that are known. */
  follows: number | null;
}

/** Whether a slot's results are still wanted. */
export function isCurrent({ scheduled, epoch }: BatchSlot): boolean {
  return !scheduled.has_ended && scheduled.epoch === epoch;
}

/** A task's sequence under the scheduler: what it would have in the next step, and what came back of the last ones. */
export class ScheduledSequence {
  readonly task: Task;
  /** Order of submission: the youngest has the highest. */
  readonly age: number;
  /** Runs in batches of its own: a batch that it was in has failed. */
  is_isolated = false;
  /** Most tokens that it may have in a step; less once a step of it alone found no memory. */
  chunk_limit = Number.POSITIVE_INFINITY;
  has_ended = false;
  #epoch = 0;
  /** Tokens of the first call that came from the prefix cache. */
  #cached = 0;
  /** Their projections, where the call wants these of every position. */
  #cached_rows: Float32Array[] = [];
  /** The call whose result comes next; null until it is admitted for the first time. */
  #current: CallProgress | null = null;
  /** The call after it, dispatched before the token that it feeds was known. */
  #ahead: CallProgress | null = null;
  /** The past that is being computed again; null when all of it is resident. */
  #restoring: CallProgress | null = null;

  constructor(task: Task, age: number) {
    this.task = task;
    this.age = age;
  }

  /** Whether it has been admitted, be it preempted now. */
  get has_begun(): boolean {
    return this.#current !== null;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Tokens that are to follow the resident ones until the current call is complete. */
  get n_pending(): number {
    const { sequence, first } = this.task;
    const end = this.#current?.end ?? sequence.n_tokens + first.tokens.length - this.#cached;
    return end - sequence.n_resident;
  }

  /** Looks for the blocks of what comes first in `find`, a cache, where none is resident. */
  adoptPrefix(find: PrefixCache["find"]): void {
    const { sequence, first } = this.task;
    const { n_tokens, hooks } = sequence;
    const end = n_tokens + first.tokens.length;
    if (this.#current === null) sequence.turnFor(end);
    if (sequence.n_resident > 0 || hooks.plan.acts_on_last) return;
    const key = sequence.prefixKey(n_tokens === 0 ? end : undefined);
    if (key === null) return;
    if (n_tokens > 0) {
      const tokens = Int32Array.from(sequence.tokens);
      sequence.adopt(find(key, tokens), tokens);
    } else if (!first.reads_all) {
      // At least one token is fed, so that there is a position to draw from.
      const tokens = first.tokens.subarray(0, first.tokens.length - 1);
      this.#cached_rows = [];
      const names = first.projects_all === true ? hooks.readings : [];
      sequence.adopt(find(key, tokens, names, this.#cached_rows), tokens);
      this.#cached = sequence.n_tokens;
    }
  }

  /** Releases what `adoptPrefix` took. */
  releasePrefix(): void {
    const { sequence } = this.task;
    if (this.#current === null && this.#cached > 0) sequence.truncate(0);
    else sequence.preempt();
    this.#cached = 0;
  }

  /** Begins, or goes on after a preemption. */
  admit(): void {
    const { sequence, first } = this.task;
    if (this.#current === null) {
      this.#begin(new CallProgress(first, sequence.n_tokens - this.#cached, this.#cached, this.#cached_rows));
    }
    this.#restore();
  }

  /**
   * What it could have in the next step: tokens of its call, or the one that its call draws in the step before
   * (`last`). None where the task ends with the result in flight, or waits for it.
   */
  nextSlot(last: readonly BatchSlot[]): BatchSlot | "ends" | "waits" {
    if (this.#restoring !== null) return this.#nextRestored(this.#restoring);
    const current = present(this.#current, "a call");
    if (current.remaining > 0) return this.#slot(current, null);
    const follows = last.findIndex(({ progress, epoch }) => progress === current && epoch === this.#epoch);
    if (follows < 0 || this.#ahead !== null) return "waits";
    const ahead = this.task.ahead();
    if (typeof ahead === "string") return ahead;
    const progress = new CallProgress(ahead, current.end);
    return this.task.sequence.turnsFor(progress.end) ? "waits" : this.#slot(progress, follows);
  }

  /** Notes that the device has been given a slot. */
  dispatch({ progress, count, follows }: BatchSlot): void {
    progress.dispatched += count;
    if (follows !== null) this.#ahead = progress;
  }

  /** Takes a slot's result. Gives the current call's whole result once it is complete. */
  commit({ progress, count, restores }: BatchSlot, result: StepResult): CallResult | null {
    this.task.sequence.commit(progress.commit(result, count));
    if (!progress.is_complete) return null;
    if (!restores) return progress.finish();
    this.#restoring = null;
    return null;
  }

  /** Takes up the task's next call, which may have been dispatched before it was known whole. */
  advance(next: Call): void {
    const { end } = present(this.#current, "a call");
    this.#begin(this.#ahead?.settle(next) ?? new CallProgress(next, end));
    this.#ahead = null;
    this.#restore();
  }

  /** Forgets what was dispatched and not committed: results of it that still come are dropped. */
  rollBack(): void {
    this.#epoch++;
    this.#ahead = null;
    this.#current?.rollBack();
    this.#restoring?.rollBack();
    this.task.sequence.rollBack();
  }

  /** Gives its blocks up, to be admitted again and computed again later. */
  preempt(): void {
    this.rollBack();
    this.#restoring = null;
    this.task.sequence.preempt();
  }

  #begin(progress: CallProgress): void {
    this.#current = progress;
    this.task.sequence.beginCall(progress.start, progress.end);
  }

  /** Has what is not resident of the past computed again first. */
  #restore(): void {
    const { n_resident, n_tokens, tokens } = this.task.sequence;
    if (n_resident === n_tokens) return;
    const past = Int32Array.from(tokens.slice(n_resident));
    this.#restoring = new CallProgress(pastCall(past), n_resident);
  }

  #nextRestored(restoring: CallProgress): BatchSlot | "waits" {
    if (restoring.remaining === 0) return "waits";
    const slot = this.#slot(restoring, null);
    const { sequence } = this.task;
    if (sequence.hooks.plan.acts_on_last) {
      // Each call's last position was changed: it must be a last position again.
      const at = restoring.start + slot.start;
      slot.count = Math.min(slot.count, sequence.callKeptEnd(at) - at);
    }
    return slot;
  }

  #slot(progress: CallProgress, follows: number | null): BatchSlot {
    return {
      scheduled: this,
      epoch: this.#epoch,
      progress,
      restores: progress === this.#restoring,
      start: progress.dispatched,
      count: progress.remaining,
      follows,
    };
  }
}

/** A slot as the device takes it, its blocks being reserved. */
export function stepEntry({ scheduled, progress, restores, start, count, follows }: BatchSlot): StepEntry {
  const { sequence } = scheduled.task;
  const { tokens, sample, logits, captures, accumulate } = progress.call;
  const [first, end] = [progress.start + start, progress.start + start + count];
  const whole: StepEntry = {
    tokens,
    follows,
    position: progress.start,
    rope_lengths: null,
    blocks: sequence.table,
    hooks: sequence.hooks.id,
    ends_call: true,
    sample,
    logits,
    captures,
    accumulate,
  };
  const entry = cutEntry(whole, start, start + count);
  if (!restores) return { ...entry, rope_lengths: sequence.ropeLengths(first, end, progress.end) };
  const ends_call = sequence.callEnd(end - 1) === end;
  return { ...entry, rope_lengths: sequence.ropeLengths(first, end), ends_call };
}

/** Tokens computed again for their keys and values alone. */
function pastCall(tokens: Int32Array): Call {
  return { tokens, sample: null, logits: "none", captures: [], accumulate: [], reads_all: false };
}
