import { busyError, drainingError } from "./errors.ts";
import type { ScheduledSequence } from "./scheduled_sequence.ts";

/** A client that has sequences waiting or active. */
interface Client {
  /** In order of submission. */
  readonly waiting: ScheduledSequence[];
  /** Its sequences, waiting and active. */
  n_present: number;
  /** Tokens computed for it. */
  served: number;
}

/**
 * The sequences that wait, and which of them comes next: those that were preempted first, then one of the client that
 * has been served least, in tokens (virtual token counters: Sheng et al., arXiv 2401.00588). A client that comes
 * counts as served as much as the least served one there is: nobody saves up a claim while away. What has no client
 * counts as one together.
 */
export class Admission {
  readonly #max_queue: number;
  readonly #preempted: ScheduledSequence[] = [];
  readonly #clients = new Map<string, Client>();
  readonly #ends = new RecentTimes();
  #n_waiting = 0;
  #n_present = 0;
  #is_closed = false;
  #closing: AbortSignal | undefined;
  #emptied: (() => void)[] = [];

  /** @param max_queue most sequences that wait where callers are refused rather than kept */
  constructor(max_queue: number) {
    this.#max_queue = max_queue;
  }

  get n_waiting(): number {
    return this.#n_waiting;
  }

  get waiting(): ScheduledSequence[] {
    return [...this.#preempted, ...[...this.#clients.values()].flatMap(({ waiting }) => waiting)];
  }

  get is_closed(): boolean {
    return this.#is_closed;
  }

  /** Ends all that is left of a closed one. */
  get closing(): AbortSignal | undefined {
    return this.#closing;
  }

  /** Takes nothing new from now on. */
  close(signal: AbortSignal | undefined): void {
    this.#is_closed = true;
    this.#closing = signal ?? this.#closing;
  }

  /** Once no sequence is left. */
  async whenEmpty(): Promise<void> {
    if (this.#n_present > 0) await new Promise<void>((resolve) => this.#emptied.push(resolve));
  }

  /**
   * Refuses where it is closed, and where the queue is full what would not wait.
   *
   * @param n_free sequences that would run at once
   * @throws CapstanError `busy`
   */
  check(queue: "wait" | "refuse", n_free: number): void {
    if (this.#is_closed) throw drainingError();
    if (queue === "wait") return;
    const n_queued = this.#n_waiting - n_free;
    if (n_queued < this.#max_queue) return;
    throw busyError(
      `a queue of fewer than ${this.#max_queue + 1} requests (max_queue ${this.#max_queue})`,
      `${n_queued} that wait`,
      this.#waitSeconds(),
    );
  }

  /** Takes up a new sequence. */
  enter(scheduled: ScheduledSequence): void {
    const client = this.#client(scheduled);
    client.n_present++;
    this.#n_present++;
    client.waiting.push(scheduled);
    this.#n_waiting++;
  }

  /** The sequence to run next, which waits until `admit`. */
  next(): ScheduledSequence | undefined {
    if (this.#preempted.length > 0) return this.#preempted[0];
    let [chosen, least]: [ScheduledSequence | undefined, number] = [undefined, Number.POSITIVE_INFINITY];
    for (const { waiting, served } of this.#clients.values()) {
      const [first] = waiting;
      if (first === undefined || served > least) continue;
      if (served === least && chosen !== undefined && chosen.age < first.age) continue;
      [chosen, least] = [first, served];
    }
    return chosen;
  }

  /** It runs from now on. */
  admit(scheduled: ScheduledSequence): void {
    this.#unqueue(scheduled);
  }

  #unqueue(scheduled: ScheduledSequence): void {
    for (const queue of [this.#preempted, this.#clients.get(scheduled.task.client)?.waiting ?? []]) {
      const at = queue.indexOf(scheduled);
      if (at < 0) continue;
      queue.splice(at, 1);
      this.#n_waiting--;
    }
  }

  /** It waits again, before all that have not begun. The youngest is preempted first. */
  preempt(scheduled: ScheduledSequence): void {
    this.#preempted.unshift(scheduled);
    this.#n_waiting++;
  }

  /** Its task has ended. */
  leave(scheduled: ScheduledSequence): void {
    this.#unqueue(scheduled);
    this.#client(scheduled).n_present--;
    this.#ends.note();
    if (--this.#n_present > 0) return;
    for (const resolve of this.#emptied.splice(0)) resolve();
  }

  /** Tokens computed for the client of a sequence. */
  served(scheduled: ScheduledSequence): number {
    return this.#client(scheduled).served;
  }

  charge(scheduled: ScheduledSequence, n_tokens: number): void {
    this.#client(scheduled).served += n_tokens;
  }

  #client({ task: { client: key } }: ScheduledSequence): Client {
    const known = this.#clients.get(key);
    if (known !== undefined && known.n_present > 0) return known;
    const least = this.#forgetAbsent();
    const client = this.#clients.get(key) ?? { waiting: [], n_present: 0, served: 0 };
    client.served = Math.max(client.served, least);
    this.#clients.set(key, client);
    return client;
  }

  /** Forgets the clients that have left and could claim nothing more than a new one; gives the least served of the others. */
  #forgetAbsent(): number {
    const present = [...this.#clients.values()].filter(({ n_present }) => n_present > 0);
    const least =
      present.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...present.map(({ served }) => served));
    for (const [key, { n_present, served }] of this.#clients) {
      if (n_present === 0 && served <= least) this.#clients.delete(key);
    }
    return Number.isFinite(least) ? least : 0;
  }

  /** Seconds in which half of those who wait will have begun, by how tasks ended of late. */
  #waitSeconds(): number {
    const seconds = (this.#n_waiting * this.#ends.meanSeconds()) / 2;
    return Math.min(MOST_SECONDS, Math.max(1, Math.ceil(seconds)));
  }
}

const MOST_SECONDS = 300;

/** When something happened the last times. */
class RecentTimes {
  readonly #times: number[] = [];

  note(): void {
    this.#times.push(performance.now());
    if (this.#times.length > 32) this.#times.shift();
  }

  /** Seconds from one time to the next; 0 where nothing is known. */
  meanSeconds(): number {
    const [first] = this.#times;
    return first === undefined ? 0 : (performance.now() - first) / 1000 / this.#times.length;
  }
}
