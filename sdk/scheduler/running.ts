import { cutEntry, type StepEntry } from "../../models/index.ts";
import { type Call, RunningCall, type Task } from "./task.ts";

/** What a task has in a step: the next `count` tokens of a call, from `start`. */
export interface Part {
  running: Running;
  call: RunningCall;
  start: number;
  count: number;
  /** The part of the last step that draws its token; null for tokens that are known. */
  follows: number | null;
}

/** A task under way. */
export class Running {
  readonly task: Task;
  /** Blocks promised to the task and not yet allocated. */
  promised: number;
  has_ended = false;
  /** The call whose result comes next. */
  #call: RunningCall;
  /** The call after it, given before the token it feeds was known. */
  #ahead: RunningCall | null = null;

  constructor(task: Task, cached: number, promised: number) {
    this.task = task;
    this.promised = promised;
    this.#call = this.#start(task.first, cached);
  }

  /**
   * What it could have in the next step: tokens of its call, or the one that its call draws in the step before
   * (`last`). Nothing where the task ends with the result under way, or waits for it.
   */
  next(last: readonly Part[]): Part | "ends" | "waits" {
    const call = this.#call;
    if (call.remaining > 0) return this.#part(call, null);
    const follows = last.findIndex((part) => part.call === call);
    if (follows < 0 || this.#ahead !== null) return "waits";
    const ahead = this.task.ahead();
    return typeof ahead === "string" ? ahead : this.#part(this.#start(ahead, 0), follows);
  }

  /** Notes that a part has been given to the device. */
  give({ call, count, follows }: Part): void {
    call.given += count;
    if (follows !== null) this.#ahead = call;
  }

  /** Takes up the task's next call, which may have been given before it was known whole. */
  goOn(next: Call): void {
    if (this.#ahead === null) this.#call = this.#start(next, 0);
    else this.#call = this.#ahead.settle(next);
    this.#ahead = null;
  }

  #start(call: Call, cached: number): RunningCall {
    return new RunningCall(call, cached);
  }

  #part(call: RunningCall, follows: number | null): Part {
    return { running: this, call, start: call.given, count: call.remaining, follows };
  }
}

/** A part as the device takes it, room for it being reserved. */
export function entryOf({ running, call, start, count, follows }: Part): StepEntry {
  const { sequence } = running.task;
  const { tokens, sample, logits, captures, accumulate } = call.call;
  const whole: StepEntry = {
    tokens,
    follows,
    position: sequence.end - count - start,
    blocks: Int32Array.from(sequence.blocks),
    hooks: sequence.hooks.id,
    ends_call: true,
    sample,
    logits,
    captures,
    accumulate,
  };
  return cutEntry(whole, start, start + count);
}
