import { itemAt } from "../../../models/certain.ts";
import {
  abortedError,
  type BlockId,
  CapstanError,
  type DeviceModel,
  type HookPlan,
  type RopeLengths,
  type StepResult,
} from "../../../models/index.ts";
import { io_bound_to_request, yieldToEventLoop } from "../../platform/event_loop.ts";
import type { ModelStats } from "../../types.ts";
import { Admission } from "./admission.ts";
import type { BlockPool } from "./block_pool.ts";
import { chooseBatch } from "./choose_batch.ts";
import { disposedError, drainingError, nonFiniteError, tooLarge } from "./errors.ts";
import { HookSets } from "./hook_sets.ts";
import { KvMemory } from "./kv_memory.ts";
import type { SchedulerLimits } from "./limits.ts";
import type { PrefixCache } from "./prefix_cache.ts";
import { type BatchSlot, isCurrent, ScheduledSequence, stepEntry } from "./scheduled_sequence.ts";
import { Sequence } from "./sequence.ts";
import type { CallResult, Task } from "./task.ts";

/** A step that the device has been given. */
interface InFlightStep {
  slots: readonly BatchSlot[];
  /** Never rejects: it may be looked at late. */
  outcome: Promise<{ results: StepResult[] } | { error: unknown }>;
}

/** How long the loop may run before others on the thread (timers, signals, sockets) get their turn. */
const TURN_MS = 10;

/**
 * The one loop over tokens. Every verb submits tasks; each turn forms a ragged batch of all that can run
 * (next tokens first, then prompts in chunks), steps the device once and hands out the results.
 *
 * On a device that takes several steps at once the next one is dispatched while the last one runs, sequences following
 * tokens that are not known yet. What then turns out to come after a reply's end is dropped.
 *
 * Where waits belong to requests (workerd), the loop runs in each request that has a task: they take turns, and one
 * that ends leaves the others going.
 *
 * A task starts when the blocks of its first call are free; `Admission` says which is next. Where blocks run out later, cached prefixes are evicted,
 * then idle sessions preempted, then the youngest sequence: its tokens stay and are computed again when there is space.
 * A task fails for memory only when it could not run even alone; a step that fails is tried again with each of its
 * sequences alone, so that the error ends only the one that it belongs to.
 */
export class Scheduler {
  readonly limits: SchedulerLimits;
  readonly hook_sets: HookSets;
  readonly memory: KvMemory;
  readonly #device: DeviceModel;
  readonly #ropes: RopeLengths | null;
  readonly #admission: Admission;
  #active: ScheduledSequence[] = [];
  /** The oldest first. */
  readonly #in_flight: InFlightStep[] = [];
  #n_submitted = 0;
  #loop: Promise<void> | null = null;
  #turn: Promise<void> | null = null;
  #disposed = false;

  /** @param ropes what the lengths of calls mean to the model's ropes; null where they mean nothing */
  constructor(device: DeviceModel, limits: SchedulerLimits, ropes: RopeLengths | null = null) {
    this.limits = limits;
    this.#ropes = ropes;
    this.#device = device;
    this.hook_sets = new HookSets(device);
    this.memory = new KvMemory(device, limits.max_blocks);
    this.#admission = new Admission(limits.max_queue);
  }

  get pool(): BlockPool {
    return this.memory.pool;
  }

  get prefixes(): PrefixCache {
    return this.memory.prefixes;
  }

  /**
   * A new sequence under hooks; whoever opens one closes it.
   *
   * @param cache_salt it shares cached prefixes with sequences of the same salt
   */
  openSequence(plan: HookPlan, cache_salt = ""): Sequence {
    return new Sequence(this.pool, this.hook_sets.acquire(plan), this.#ropes, cache_salt);
  }

  /** A second sequence with the same past and hooks, no task of which is in progress. */
  forkSequence(sequence: Sequence): Sequence {
    const copy = sequence.fork(this.hook_sets.acquire(sequence.hooks.plan));
    this.memory.rest(copy);
    return copy;
  }

  /** Frees what a sequence holds. */
  closeSequence(sequence: Sequence): void {
    this.memory.take(sequence);
    sequence.dispose();
    this.hook_sets.release(sequence.hooks);
  }

  get stats(): ModelStats {
    const { used, limit } = this.pool;
    return {
      n_running: this.#active.length,
      n_waiting: this.#admission.n_waiting,
      max_queue: this.limits.max_queue,
      kv_blocks: { used, cached: this.prefixes.size, total: limit },
      is_draining: this.#admission.is_closed,
    };
  }

  /** Queues a task; `task.ended` is called once it was taken. Throws at once when it could never run, or is refused. */
  submit(task: Task): void {
    this.#check(task);
    this.#admission.enter(new ScheduledSequence(task, this.#n_submitted++));
    if (io_bound_to_request) void this.#run(() => this.#has(task));
    else this.#loop ??= this.#run(() => this.#is_busy);
  }

  /**
   * Refuses new tasks and those that have not begun, from now on, and lets the others come to their end.
   *
   * @param signal ends what still runs
   */
  drain(signal?: AbortSignal): Promise<void> {
    this.#admission.close(signal);
    for (const scheduled of this.#admission.waiting) {
      if (!scheduled.has_begun) this.#end(scheduled, drainingError());
    }
    return this.#admission.whenEmpty();
  }

  /** Ends every task with an error, frees the cache and stops. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    // A loop that belonged to a request may be gone: the tasks are dropped here.
    await (this.#loop ?? this.#takeTurn());
    this.memory.dispose();
  }

  get #is_busy(): boolean {
    return this.#admission.n_waiting + this.#active.length + this.#in_flight.length > 0;
  }

  #has(task: Task): boolean {
    return [...this.#admission.waiting, ...this.#active].some((scheduled) => scheduled.task === task);
  }

  #check({ sequence, first, max_tokens, queue }: Task): void {
    if (this.#disposed) throw disposedError();
    if (max_tokens > this.limits.n_ctx) {
      throw new CapstanError("context_overflow", {
        action: "run the model",
        need: `at most ${this.limits.n_ctx} tokens (n_ctx)`,
        found: `${max_tokens}`,
        fix: "Shorten the prompt, or load the model with a larger n_ctx.",
      });
    }
    const needed = this.pool.blocksFor(sequence.n_tokens + first.tokens.length);
    if (needed > this.pool.limit) throw tooLarge(this.pool, needed);
    this.#admission.check(queue, this.limits.max_step_sequences - this.#active.length);
  }

  /** Turns for as long as they are wanted. */
  async #run(is_wanted: () => boolean): Promise<void> {
    let turn_began = performance.now();
    // Tasks submitted in one go start in one batch.
    await Promise.resolve();
    while (is_wanted()) {
      await this.#takeTurn();
      if (io_bound_to_request) {
        if (is_wanted()) await yieldToEventLoop();
      } else if (performance.now() - turn_began > TURN_MS || this.#active.length === 0) {
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
    this.#admitWaiting();
    while (this.#in_flight.length < this.#device.n_in_flight) {
      if (!(await this.#dispatchStep())) break;
    }
    if (this.#in_flight.length > 0) await this.#commitStep();
  }

  #admitWaiting(): void {
    while (this.#active.length < this.limits.max_step_sequences) {
      const scheduled = this.#admission.next();
      if (scheduled === undefined) return;
      if (!this.#freeBlocksFor(scheduled)) {
        if (this.#active.length > 0) return;
        if (this.pool.holdNothingBack()) continue;
        this.#end(scheduled, tooLarge(this.pool, this.#blocksOf(scheduled)));
        continue;
      }
      this.#admission.admit(scheduled);
      scheduled.admit();
      this.#active.push(scheduled);
    }
  }

  /** Frees the blocks that a sequence needs for its call, beside what the active ones need for theirs. */
  #freeBlocksFor(scheduled: ScheduledSequence): boolean {
    const { sequence } = scheduled.task;
    const was_resident = sequence.n_resident > 0;
    this.memory.take(sequence);
    scheduled.adoptPrefix((...asked) => this.prefixes.find(...asked));
    if (this.#fits(scheduled)) return true;
    if (!was_resident) scheduled.releasePrefix();
    this.memory.rest(sequence);
    return false;
  }

  #fits(scheduled: ScheduledSequence): boolean {
    const others = this.#active.map(({ task, n_pending }) => task.sequence.blocksNeeded(n_pending));
    // Each of the others may soon need a block more: without that margin the newcomer would be preempted at once.
    const planned = others.reduce((sum, blocks) => sum + blocks, this.#active.length);
    return this.memory.makeFree(planned + scheduled.task.sequence.blocksNeeded(scheduled.n_pending));
  }

  /** Blocks of a sequence at the end of its current call. */
  #blocksOf({ task, n_pending }: ScheduledSequence): number {
    return this.pool.blocksFor(task.sequence.n_resident + n_pending);
  }

  /** Gives the device a step of all that can run; false when that is nothing. */
  async #dispatchStep(): Promise<boolean> {
    const last = this.#in_flight.at(-1)?.slots ?? [];
    const slots = chooseBatch(this.#active, last, this.limits, this.#admission);
    if (slots.length === 0) return false;
    try {
      if (!(await this.#reserve(slots))) return false;
    } catch (error) {
      for (const { scheduled } of slots) this.#end(scheduled, error);
      return false;
    }
    const outcome = this.#device.step(slots.map(stepEntry)).then(
      (results) => ({ results }),
      (error: unknown) => ({ error }),
    );
    for (const slot of slots) {
      slot.scheduled.dispatch(slot);
      if (!slot.restores) this.#admission.charge(slot.scheduled, slot.count);
    }
    this.#in_flight.push({ slots, outcome });
    return true;
  }

  /**
   * Gives every slot its blocks, preempting the youngest sequences (and dropping their slots) until they suffice. False
   * when no slot is left, or steps are in flight that have to be committed before a sequence may be preempted.
   */
  async #reserve(slots: BatchSlot[]): Promise<boolean> {
    let blocks: BlockId[] | null = null;
    while (blocks === null) {
      const needs = slots.map(({ scheduled, count }) => scheduled.task.sequence.blocksNeeded(count));
      const count = needs.reduce((sum, need) => sum + need, 0);
      if (this.memory.makeFree(count)) blocks = await this.pool.allocate(count);
      else if (this.#in_flight.length > 0) return false;
      else if (this.#active.length === 1 && this.pool.holdNothingBack()) continue;
      else this.#preemptYoungest(slots);
    }
    for (const { scheduled, count } of slots) scheduled.task.sequence.reserve(count, blocks);
    // Where two slots shared a block, the second has it alone once the first has a copy.
    this.pool.release(blocks);
    return slots.length > 0;
  }

  #preemptYoungest(slots: BatchSlot[]): void {
    const youngest = this.#active.reduce((a, b) => (b.age > a.age ? b : a));
    const at = slots.findIndex(({ scheduled }) => scheduled === youngest);
    if (at >= 0) slots.splice(at, 1);
    if (this.#active.length === 1) {
      this.#end(youngest, tooLarge(this.pool, this.#blocksOf(youngest)));
      return;
    }
    youngest.preempt();
    this.#active = this.#active.filter((other) => other !== youngest);
    this.#admission.preempt(youngest);
  }

  /** Waits for the oldest step and commits its results; those of what ended or was rolled back meanwhile are dropped. */
  async #commitStep(): Promise<void> {
    const { slots, outcome } = itemAt(this.#in_flight, 0);
    const settled = await outcome;
    this.#in_flight.shift();
    if ("error" in settled) return this.#failStep(slots, settled.error);
    this.pool.recover();
    for (const [index, slot] of slots.entries()) {
      if (isCurrent(slot)) this.#commit(slot, itemAt(settled.results, index));
    }
  }

  #commit(slot: BatchSlot, result: StepResult): void {
    const { scheduled } = slot;
    scheduled.is_isolated = false;
    if (result.non_finite !== null) {
      this.#end(scheduled, nonFiniteError(result.non_finite));
      return;
    }
    const done = scheduled.commit(slot, result);
    if (done === null) return;
    this.#remember(slot, done);
    this.#advance(scheduled, done);
  }

  /** A step has failed: gives memory back if that is what was missing, and has each sequence tried alone. */
  #failStep(batch: readonly BatchSlot[], error: unknown): void {
    const slots = batch.filter(isCurrent);
    const code = error instanceof CapstanError ? error.code : "internal";
    const is_final = code === "device_lost" || (code === "internal" && error instanceof CapstanError);
    const { used } = this.pool;
    for (const { scheduled } of slots) {
      if (!is_final) scheduled.rollBack();
    }
    if (code === "out_of_memory" && this.#giveMemoryBack(used)) return;
    // The error may be that of a slot whose results are no longer wanted: only a batch of one tells whose it is.
    const is_alone = batch.length === 1;
    for (const { scheduled, count } of slots) {
      if (is_alone && code === "out_of_memory" && count > 1) scheduled.chunk_limit = Math.ceil(count / 2);
      else if (is_alone || is_final) this.#end(scheduled, error);
      else scheduled.is_isolated = true;
    }
  }

  /**
   * Frees all blocks that nobody works with, for what a step needs beside them, and from now on keeps fewer than the
   * `used` of that step. False when there are none.
   */
  #giveMemoryBack(used: number): boolean {
    const freed = this.memory.freeUnused();
    if (freed === 0) return false;
    this.pool.holdBack(used - Math.ceil(freed * CACHE_LOWERED));
    return true;
  }

  #advance(scheduled: ScheduledSequence, result: CallResult): void {
    let next: ReturnType<Task["next"]>;
    try {
      next = scheduled.task.next(result);
    } catch (error) {
      this.#end(scheduled, error);
      return;
    }
    if (next === null) this.#end(scheduled, undefined);
    else scheduled.advance(next);
  }

  /** Keeps whole blocks of what was fed for sequences that begin alike. */
  #remember({ scheduled: { task }, progress }: BatchSlot, { projections: rows }: CallResult): void {
    const { sequence, first, is_brief } = task;
    // A position that a `last` hook changed is not what another sequence would have there.
    if (sequence.hooks.plan.acts_on_last || progress.call !== first) return;
    const key = sequence.prefixKey();
    if (key === null) return;
    const read = { names: sequence.hooks.readings, end: progress.end, rows };
    this.prefixes.insert(key, Int32Array.from(sequence.tokens), sequence.blocks, is_brief, read);
  }

  #dropAborted(): void {
    const { closing } = this.#admission;
    for (const scheduled of [...this.#active, ...this.#admission.waiting]) {
      const signal = closing?.aborted ? closing : scheduled.task.signal;
      if (this.#disposed) this.#end(scheduled, disposedError());
      else if (signal?.aborted === true) this.#end(scheduled, abortedError("run the model", signal));
    }
  }

  #end(scheduled: ScheduledSequence, error: unknown): void {
    scheduled.has_ended = true;
    this.#active = this.#active.filter((other) => other !== scheduled);
    this.#admission.leave(scheduled);
    scheduled.rollBack();
    this.memory.rest(scheduled.task.sequence);
    scheduled.task.ended(error);
  }
}

/** The share of the unused blocks that is held back for a while once a step found no memory beside them. */
const CACHE_LOWERED = 0.25;
