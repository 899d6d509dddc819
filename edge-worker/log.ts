/** A line of the server's log, as JSON. It holds no text of messages unless the policy says so, and never a key. */
export interface LogEntry {
  time: string;
  level: "info" | "warn" | "error";
  event: "request" | "drift" | "server";
  request_id?: string;
  method?: string;
  route?: string;
  status?: number;
  /** Milliseconds, the whole stream included. */
  ms?: number;
  /** The key's name in the policy. */
  client?: string;
  model?: string;
  cap?: string | null;
  prompt_tokens?: number;
  completion_tokens?: number;
  projection?: number | null;
  code?: string | null;
  /** What failed inside of the server. */
  cause?: string;
  action?: string;
  message?: string;
  /** With `log_text`: what was asked and answered. */
  request_text?: string;
  reply_text?: string;
}

/** Takes each line of a log. */
export type Log = (entry: LogEntry) => void;

/** What is known of a request so far; written once, when its response has ended. */
export class RequestLog {
  readonly fields: Partial<LogEntry> = {};
  /** Set where the response outlives its handler. */
  is_streaming = false;
  readonly #began: number;
  readonly #write: (fields: Partial<LogEntry>, ms: number) => void;
  #is_written = false;

  constructor(write: (fields: Partial<LogEntry>, ms: number) => void) {
    this.#began = performance.now();
    this.#write = write;
  }

  /** Milliseconds since the request came. */
  get elapsed(): number {
    return performance.now() - this.#began;
  }

  done(): void {
    if (this.#is_written) return;
    this.#is_written = true;
    this.#write(this.fields, this.elapsed);
  }
}

/** An error's message with those of its causes, for the log. */
export function causesOf(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at instanceof Error && parts.length < 4; at = at.cause)
    parts.push(`${at.name}: ${at.message}`);
  return parts.join(" <- ");
}
