/** The stable codes of every error Capstan raises. Callers may switch on them; texts may change. */
export type ErrorCode =
  | "bad_request"
  | "bad_config"
  | "bad_hook"
  | "bad_weights"
  | "bad_file"
  | "not_found"
  | "network"
  | "access_denied"
  | "unsupported"
  | "context_overflow"
  | "out_of_memory"
  | "busy"
  | "non_finite"
  | "tokenizer"
  | "device_lost"
  | "aborted"
  | "digest_mismatch"
  | "judge"
  | "internal";

/** What a message is made of: what was being done, what it needs, what it found, how to fix it. */
export interface ErrorParts {
  action: string;
  need: string;
  found: string;
  fix?: string;
}

/**
 * The one error type of Capstan: a stable `code` and a message of four parts on one line.
 *
 * @example
 * const error = new CapstanError("bad_weights", {
 *   action: "load model.safetensors",
 *   need: "model.norm.weight [64]",
 *   found: "[48]",
 *   fix: "The file may be of another model.",
 * });
 * error.message; // "load model.safetensors: need model.norm.weight [64], found [48]. The file may be of another model."
 */
export class CapstanError extends Error {
  /** Always `CapstanError`. */
  override readonly name = "CapstanError";
  /** What kind of error it is: stable, for programs. */
  readonly code: ErrorCode;
  /** What the message is made of. */
  readonly parts: ErrorParts;
  /** Of `busy`: seconds after which to try again, a whole number from 1. */
  readonly retry_after?: number;

  constructor(code: ErrorCode, parts: ErrorParts, options: { cause?: unknown; retry_after?: number } = {}) {
    const [action, need, found] = [parts.action, parts.need, parts.found].map(shorten);
    const fix = parts.fix === undefined ? "" : ` ${shorten(parts.fix)}`;
    super(
      oneLine(`${action}: need ${need}, found ${found}.${fix}`),
      "cause" in options ? { cause: options.cause } : undefined,
    );
    this.code = code;
    this.parts = parts;
    if (options.retry_after !== undefined) this.retry_after = options.retry_after;
  }
}

/** The longest part of a message: names of files and of fields come from outside. */
const MOST_PART = 480;

function shorten(text: string): string {
  return text.length <= MOST_PART ? text : `${text.slice(0, MOST_PART - 120)}...${text.slice(-100)}`;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

/** The error of an aborted call: `signal.reason` is kept as the cause. */
export function abortedError(action: string, signal?: AbortSignal): CapstanError {
  return new CapstanError(
    "aborted",
    { action, need: "the call to run to its end", found: "an abort" },
    { cause: signal?.reason },
  );
}

/** The error of an id that nobody has, or no longer. */
export function unknownId(action: string, what: string, id: number): CapstanError {
  return new CapstanError("bad_request", { action, need: `a ${what} in use`, found: `${what} ${id}` });
}

/** A value as it reads well inside an error message: short, quoted when text, whatever it is. */
export function show(value: unknown): string {
  const text = describe(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  const made_by: unknown = Object.getPrototypeOf(value)?.constructor?.name;
  if (!Array.isArray(value) && made_by !== undefined && made_by !== "Object") return `a ${String(made_by)}`;
  try {
    return JSON.stringify(value, (_, part) => (typeof part === "bigint" ? String(part) : part));
  } catch {
    return Array.isArray(value) ? "a list" : "an object";
  }
}
