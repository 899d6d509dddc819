import { abortedError, CapstanError, type DeviceModel, type StepResult } from "../../models/index.ts";
import { waits_belong_to_requests, yieldToEventLoop } from "../platform/event_loop.ts";
import { BlockPool } from "./blocks.ts";
import { HookSets } from "./hook_sets.ts";
import { PrefixCache } from "./prefix_cache.ts";
import { entryOf, type Part, Running } from "./running.ts";
import type { CallResult, RunningCall, Task } from "./task.ts";

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

/** A step that the device has been given. */
interface Flight {
  parts: readonly Part[];
  /** Never rejects: it may be looked at late. */
  outcome: Promise<{ results: StepResult[] } | { error: unknown }>;
}

/** How long the loop may run before others on the thread (timers, signals, sockets) get their turn. */
const TURN_MS = 10;

/**
 * The one loop over tokens. Every verb submits tasks; each turn forms a ragged batch of all that can run
 * (next tokens first, then prompts in chunks), steps the device once and hands out the results.
 *
 * On a device that takes several steps at once the next one is given while the last one runs, sequences following
 * tokens that are not known yet. What then turns out to come after a reply's end is dropped.
 *
 * Where waits belong to requests (workerd), the loop runs in each request that has a task: they take turns, and one
 * that ends leaves the others going.
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
  /** The oldest first. */
  readonly #flights: Flight[] = [];
  #loop: Promise<void> | null = null;
  #turn: Promise<void> | null = null;
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
    if (waits_belong_to_requests) void this.#run(() => this.#has(task));
    else this.#loop ??= this.#run(() => this.#is_busy);
  }

  /** Ends every task with an error, frees the cache and stops. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    // A loop that belonged to a request may be gone: the tasks are dropped here.
    await (this.#loop ?? this.#takeTurn());
    this.prefixes.clear();
  }

  get #is_busy(): boolean {
    return this.#waiting.length + this.#running.length + this.#flights.length > 0;
  }

  #has(task: Task): boolean {
    return this.#waiting.includes(task) || this.#running.some((running) => running.task === task);
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

  /** Turns for as long as they are wanted. */
  async #run(is_wanted: () => boolean): Promise<void> {
    let turn_began = performance.now();
    // Tasks submitted in one go start in one batch.
    await Promise.resolve();
    while (is_wanted()) {
      await this.#takeTurn();
      if (waits_belong_to_requests) {
        if (is_wanted()) await yieldToEventLoop();
      } else if (performance.now() - turn_began > TURN_MS || this.#running.length === 0) {
        await yieldToEventLoop();
        turn_began = performance.now();
      }
    }
    // Here and not once the promise has settled: what is submitted in between would find a loop that is over.
    this.#loop = null;
  }

  /** One turn at a time, whoever asks for it. */
  #takeTurn(): Promise<void> {
    this.#turn ??= this.#stepOnce().finally(() => {
      this.#turn = null;
    });
    return this.#turn;
  }

  async #stepOnce(): Promise<void> {
    this.#dropAborted();
    this.#admit();
    while (this.#flights.length < this.#device.n_in_flight && this.#give());
    if (this.#flights.length > 0) await this.#land();
  }

  /** Gives the device a step of all that can run; false when that is nothing. */
  #give(): boolean {
    const parts = this.#chooseBatch();
    if (parts.length === 0) return false;
    try {
      for (const { running, count } of parts) this.#reserve(running, count);
    } catch (error) {
      for (const { running } of parts) this.#end(running, error);
      return true;
    }
    const outcome = this.#device.step(parts.map(entryOf)).then(
      (results) => ({ results }),
      (error: unknown) => ({ error }),
    );
    for (const part of parts) part.running.give(part);
    this.#flights.push({ parts, outcome });
    return true;
  }

  /** Sequences with one token to go come first, then prompts, until the step is full. */
  #chooseBatch(): Part[] {
    const last = this.#flights.at(-1)?.parts ?? [];
    const single: Part[] = [];
    const longer: Part[] = [];
    for (const running of this.#running) {
      const part = running.next(last);
      // A step without those that wait would cost them another pass over the weights: batches stay whole.
      if (part === "waits") return [];
      if (part !== "ends") (part.count === 1 ? single : longer).push(part);
    }
    const chosen = [...single, ...longer].slice(0, this.limits.max_step_sequences);
    let room = this.limits.max_step_tokens;
    for (const part of chosen) {
      part.count = Math.min(part.count, room);
      room -= part.count;
    }
    return chosen.filter(({ count }) => count > 0);
  }

  #reserve(running: Running, count: number): void {
    const { sequence } = running.task;
    const before = this.pool.used;
    sequence.reserve(count);
    running.promised = Math.max(0, running.promised - (this.pool.used - before));
  }

  /** Waits for the oldest step and hands out its results; what ended meanwhile gets none. */
  async #land(): Promise<void> {
    const { parts, outcome } = this.#flights[0]!;
    const landed = await outcome;
    this.#flights.shift();
    for (const [index, part] of parts.entries()) {
      if (part.running.has_ended) continue;
      if ("error" in landed) this.#end(part.running, landed.error);
      else this.#accept(part, landed.results[index]!);
    }
  }

  #accept({ running, call, count }: Part, result: StepResult): void {
    if (result.non_finite !== null) {
      this.#end(running, nonFiniteError(result.non_finite));
      return;
    }
    running.task.sequence.land(call.accept(result, count));
    if (!call.is_complete) return;
    this.#remember(running.task, call);
    this.#goOn(running, call.finish());
  }

  #goOn(running: Running, result: CallResult): void {
    let next: ReturnType<Task["next"]>;
    try {
      next = running.task.next(result);
    } catch (error) {
      this.#end(running, error);
      return;
    }
    if (next === null) this.#end(running, undefined);
    else running.goOn(next);
  }

  /** Keeps whole blocks of what was fed for sequences that begin alike. */
  #remember(task: Task, call: RunningCall): void {
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
      this.#running.push(new Running(task, cached, promised.blocks));
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
    running.has_ended = true;
    this.#running = this.#running.filter((other) => other !== running);
    running.task.sequence.drop();
    running.task.ended(error);
  }
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
