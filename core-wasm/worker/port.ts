/** One end of a channel between two threads: what is posted arrives at the other end, in order, copied or transferred. */
export interface Port {
  /** Posts a message; the buffers of `transfer` go to the other end and are empty here afterwards. */
  post(message: unknown, transfer?: readonly ArrayBufferLike[]): void;
  /** Sets who is called with each message. */
  onMessage(call: (message: unknown) => void): void;
}

/** The end of the thread that started the other: it sees that one end, and may end it. */
export interface WorkerPort extends Port {
  /** Sets who is called, once, when the worker is gone, with what is known of why. */
  onClosed(call: (why: unknown) => void): void;
  /** Whether the worker keeps the process alive, where the runtime lets one say so. */
  hold(held: boolean): void;
  /** Ends the worker, whatever it is at. */
  close(): Promise<void>;
}
