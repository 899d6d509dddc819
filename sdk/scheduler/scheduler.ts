import {
  abortedError,
  CapstanError,
  type DeviceModel,
  type StepEntry,
  type StepResult,
} from "../../models/index.ts";
import { yieldToEventLoop } from "../platform/event_loop.ts";
import { BlockPool } from "./blocks.ts";
import { HookSets } from "./hook_sets.ts";
import { PrefixCache } from "./prefix_cache.ts";
import { type CallResult, RunningCall, type Task } from "./task.ts";

export interface SchedulerLimits {
  /** Longest sequence, in tokens. */
  n_ctx: number;
  /** Most KV blocks held at once. */
  max_blocks: number;
  /** Most tokens in a step: long prompts go in chunks, so that others are not kept waiting. */
  max_step_tokens: number;
  /** Most sequences in a step. */
  max_step_sequences: number;
}

interface Running {
  task: Task;
  call: RunningCall;
  /** Blocks promised to the task and not yet allocated. */
  promised: number;
}

/** How long the loop may run before others on the thread (timers, signals, sockets) get their turn. */
const TURN_MS = 10;

/**
 * The one loop over tokens. Every verb submits tasks; each turn forms a ragged batch of all that can run
 * (next tokens first, then prompts in chunks), steps the device once and hands out the results.
 *
 * A task starts when the blocks of its longest possible sequence are free or can be: so none is ever stuck
 * half-way for lack of memory.
 */
export class Scheduler {
  readonly limits: SchedulerLimits;
  readonly hook_sets: HookSets;
  readonly pool: BlockPool;
  readonly prefixes: PrefixCache;
  readonly #device: DeviceModel;
  #waiting: Task[] = [];
  #running: Running[] = [];
  #loop: Promise<void> | null = null;
  #disposed = false;

  constructor(device: DeviceModel, limits: SchedulerLimits) {
    this.limits = limits;
    this.#device = device;
    this.hook_sets = new HookSets(device);
    this.pool = new BlockPool(device, limits.max_blocks);
    this.prefixes = new PrefixCache(this.pool);
  }

  /** Queues a task; `task.ended` is called in every case. Throws at once when it could never run. */
  submit(task: Task): void {
    this.#check(task);
    this.#waiting.push(task);
    this.#loop ??= this.#run();
  }

  /** Ends every task with an error, frees the cache and stops. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.#loop;
    this.prefixes.clear();
  }

  #check(task: Task): void {
    if (this.#disposed) throw disposedError();
    const needed = this.pool.blocksFor(task.max_tokens);
    if (task.max_tokens > this.limits.n_ctx) {
      throw new CapstanError("context_overflow", {
        action: "run the model",
        need: `at most ${this.limits.n_ctx} tokens (n_ctx)`,
        found: `${task.max_tokens}`,
        mend: "Shorten the prompt, or load the model with a larger n_ctx.",
      });
    }
    if (needed > this.pool.capacity) {
      throw new CapstanError("out_of_memory", {
        action: "run the model",
        need: `a cache of at least ${needed} blocks of ${this.pool.block_size} tokens`,
        found: `room for ${this.pool.capacity}`,
      });
    }
  }

  async #run(): Promise<void> {
    let turn_began = performance.now();
    // Tasks submitted in one go start in one batch.
    await Promise.resolve();
    while (this.#waiting.length + this.#running.length > 0) {
      this.#dropAborted();
      this.#admit();
      if (this.#running.length > 0) await this.#step();
      if (performance.now() - turn_began > TURN_MS || this.#running.length === 0) {
        await yieldToEventLoop();
        turn_began = performance.now();
      }
    }
    this.#loop = null;
  }

  async #step(): Promise<void> {
    const chosen = this.#chooseBatch();
    let results: StepResult[];
    try {
      for (const { running, count } of chosen) this.#reserve(running, count);
      results = await this.#device.step(chosen.map(({ running, count }) => entryOf(running, count)));
    } catch (error) {
      for (const { running } of chosen) this.#end(running, error);
      return;
    }
    for (const [index, { running, count }] of chosen.entries()) this.#accept(running, results[index]!, count);
  }

  /** Sequences with one token to go come first, then prompts, until the step is full. */
  #chooseBatch(): { running: Running; count: number }[] {
    const chosen: { running: Running; count: number }[] = [];
    let room = this.limits.max_step_tokens;
    const by_length = [
      ...this.#running.filter(({ call }) => call.remaining === 1),
      ...this.#running.filter(({ call }) => call.remaining > 1),
    ];
    for (const running of by_length) {
      const count = Math.min(running.call.remaining, room);
      if (count === 0 || chosen.length === this.limits.max_step_sequences) break;
      chosen.push({ running, count });
      room -= count;
    }
    return chosen;
  }

  #reserve(running: Running, count: number): void {
    const { sequence } = running.task;
    const before = this.pool.used;
    sequence.reserve(count);
    running.promised = Math.max(0, running.promised - (this.pool.used - before));
  }

  #accept(running: Running, result: StepResult, count: number): void {
    const { task, call } = running;
    if (result.non_finite !== null) {
      this.#end(running, nonFiniteError(result.non_finite));
      return;
    }
    const start = call.fed;
    for (const token of call.call.tokens.subarray(start, start + count)) task.sequence.tokens.push(token);
    call.accept(result, count);
    if (call.remaining > 0) return;
    this.#remember(running);
    this.#goOn(running, call.finish(result));
  }

  #goOn(running: Running, result: CallResult): void {
    try {
      const next = running.task.next(result);
      const { plan } = running.task.sequence.hooks;
      if (next === null) this.#end(running, undefined);
      else running.call = new RunningCall(next, 0, plan.projection_names.length);
    } catch (error) {
      this.#end(running, error);
    }
  }

  /** Keeps whole blocks of what was fed for sequences that begin alike. */
  #remember({ task, call }: Running): void {
    const { sequence } = task;
    const { plan, interventions } = sequence.hooks;
    // A position that a `last` hook changed is not what another sequence would have there.
    if (plan.acts_on_last || call.call !== task.first) return;
    this.prefixes.insert(interventions, Int32Array.from(sequence.tokens), sequence.blocks);
  }

  #admit(): void {
    while (this.#waiting.length > 0 && this.#running.length < this.limits.max_step_sequences) {
      const task = this.#waiting[0]!;
      const promised = this.#promise(task);
      if (promised === null) return;
      this.#waiting.shift();
      const cached = task.sequence.n_tokens - promised.past;
      const call = new RunningCall(task.first, cached, task.sequence.hooks.plan.projection_names.length);
      this.#running.push({ task, call, promised: promised.blocks });
    }
  }

  /** Blocks to promise to a task, or null when they are not to be had yet. Adopts cached blocks first. */
  #promise(task: Task): { blocks: number; past: number } | null {
    const { sequence, first } = task;
    const past = sequence.n_tokens;
    if (past === 0 && !first.reads_all) this.#adoptPrefix(task);
    const blocks = sequence.blocksNeeded(task.max_tokens - sequence.n_tokens);
    const promised = this.#running.reduce((sum, running) => sum + running.promised, 0);
    const short = this.pool.used + promised + blocks - this.pool.capacity;
    if (short <= 0 || this.prefixes.evict(short) >= short) return { blocks, past };
    if (this.#running.length === 0) {
      this.#waiting.shift();
      task.ended(
        new CapstanError("out_of_memory", {
          action: "run the model",
          need: `${blocks} free cache blocks`,
          found: `${this.pool.capacity - this.pool.used} (sessions hold the others)`,
          mend: "Dispose of sessions that are done.",
        }),
      );
    } else if (past === 0) {
      sequence.truncate(0);
    }
    return null;
  }

  #adoptPrefix({ sequence, first }: Task): void {
    // At least one token is fed, so that there is a position to draw from.
    const known = first.tokens.subarray(0, first.tokens.length - 1);
    const found = this.prefixes.find(sequence.hooks.interventions, known);
    if (found.length > 0) sequence.adopt(found, known);
  }

  #dropAborted(): void {
    const stopped = (task: Task) => this.#disposed || task.signal?.aborted === true;
    const reason = (task: Task) =>
      this.#disposed ? disposedError() : abortedError("run the model", task.signal);
    for (const running of this.#running.filter(({ task }) => stopped(task)))
      this.#end(running, reason(running.task));
    const gone = this.#waiting.filter(stopped);
    this.#waiting = this.#waiting.filter((task) => !stopped(task));
    for (const task of gone) task.ended(reason(task));
  }

  #end(running: Running, error: unknown): void {
    this.#running = this.#running.filter((other) => other !== running);
    running.task.ended(error);
  }
}

function entryOf({ task, call }: Running, count: number): StepEntry {
  const { sequence } = task;
  const { tokens, sample, logits, captures, accumulate } = call.call;
  const start = call.fed;
  const ends_call = count === call.remaining;
  return {
    tokens: tokens.subarray(start, start + count),
    follows: null,
    position: sequence.n_tokens,
    blocks: Int32Array.from(sequence.blocks),
    hooks: sequence.hooks.id,
    ends_call,
    sample: ends_call ? sample : null,
    logits: logits === "last" && !ends_call ? "none" : logits,
    captures,
    accumulate: accumulate
      .map((span) => ({
        id: span.id,
        start: Math.max(0, span.start - start),
        end: Math.min(count, span.end - start),
      }))
      .filter((span) => span.start < span.end),
  };
}

function nonFiniteError(where: string): CapstanError {
  return new CapstanError("non_finite", {
    action: "run the model",
    need: `finite numbers in the ${where === "logits" ? "logits" : "residual stream"}`,
    found: "NaN or infinity",
    mend: "A hook with a huge coefficient, or weights beyond the range of float32, can do this.",
  });
}

function disposedError(): CapstanError {
  return new CapstanError("device_lost", {
    action: "run the model",
    need: "a loaded model",
    found: "one that was disposed",
    mend: "Load it again.",
  });
}
