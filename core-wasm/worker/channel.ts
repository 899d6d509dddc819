import { CapstanError } from "../../models/errors.ts";
import { receiveError } from "./errors.ts";
import {
  type Call,
  type DeviceInfo,
  OPEN_CALL,
  type Order,
  type Request,
  type Response,
} from "./messages.ts";
import type { WorkerPort } from "./port.ts";

/** A call that has not been answered. */
interface Pending {
  action: string;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** What a device asks of its caller, or reports. */
export type Notice = Exclude<Response, { kind: "answer" | "failed" }>;

/**
 * The caller's end: numbers its calls and settles each once. When the worker is gone every call that waits, and every
 * later one, is `device_lost`. The worker keeps the process alive while a call waits, and no longer.
 */
export class Channel {
  /** What the device says of itself. */
  readonly opened: Promise<DeviceInfo>;
  /** Takes what comes without having been called for. */
  onNotice: (notice: Notice) => void = () => {};
  readonly #port: WorkerPort;
  readonly #pending = new Map<number, Pending>();
  #n_calls = OPEN_CALL;
  /** Why no call is answered any more. */
  #lost: { found: string; cause?: unknown } | null = null;

  constructor(port: WorkerPort) {
    this.#port = port;
    this.opened = this.#answerOf("start a worker", this.#n_calls++) as Promise<DeviceInfo>;
    port.onMessage((message) => this.#receive(message as Response));
    port.onClosed((cause) => this.#lose({ found: `a worker that ended: ${textOf(cause)}`, cause }));
  }

  /** @throws CapstanError `device_lost` once the worker is gone */
  check(action: string): void {
    if (this.#lost !== null) throw lostError(action, this.#lost);
  }

  /** What the device answers. Rejects with what it throws, or `device_lost`. */
  async call(action: string, of: Call): Promise<unknown> {
    this.check(action);
    const call = this.#n_calls++;
    this.#port.post({ kind: "call", call, of } satisfies Request);
    return await this.#answerOf(action, call);
  }

  /** Has the device do something that gives nothing back; the caller has checked that it can be done. */
  order(action: string, of: Order): void {
    this.check(action);
    this.post({ kind: "order", of });
  }

  /** Posts what has no answer; nothing once the worker is gone. */
  post(request: Request, transfer: readonly ArrayBufferLike[] = []): void {
    if (this.#lost === null) this.#port.post(request, transfer);
  }

  /** Ends the worker. */
  async close(): Promise<void> {
    this.#lose({ found: "a disposed one" });
    await this.#port.close();
  }

  #answerOf(action: string, call: number): Promise<unknown> {
    if (this.#pending.size === 0) this.#port.hold(true);
    return new Promise((resolve, reject) => this.#pending.set(call, { action, resolve, reject }));
  }

  #receive(message: Response): void {
    if (message.kind !== "answer" && message.kind !== "failed") {
      this.onNotice(message);
      return;
    }
    const pending = this.#pending.get(message.call);
    if (pending === undefined) return;
    this.#pending.delete(message.call);
    if (this.#pending.size === 0) this.#port.hold(false);
    if (message.kind === "answer") pending.resolve(message.value);
    else pending.reject(receiveError(message.error));
  }

  #lose(lost: { found: string; cause?: unknown }): void {
    if (this.#lost !== null) return;
    this.#lost = lost;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    this.#port.hold(false);
    for (const { action, reject } of pending) reject(lostError(action, lost));
  }
}

function lostError(action: string, { found, ...why }: { found: string; cause?: unknown }): CapstanError {
  const parts = { action, need: "a living device", found };
  if (!("cause" in why)) return new CapstanError("device_lost", parts);
  return new CapstanError("device_lost", { ...parts, fix: "The model must be loaded again." }, why);
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
