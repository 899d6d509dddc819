import { CapstanError, type ErrorCode } from "../models/index.ts";

/** What an HTTP client is answered where its request fails: the shape of OpenAI's API. */
export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null };
}

/** Statuses that an error may have. 499: the client has left and reads it no more. */
export type ErrorStatus = 400 | 401 | 403 | 404 | 405 | 408 | 413 | 415 | 429 | 499 | 500 | 503 | 504;

interface ApiErrorParts {
  /** The field of the request that is at fault: `messages[0].content`. */
  param?: string | null;
  code?: string | null;
  /** Seconds, from 1. */
  retry_after?: number;
  /** Methods that the path has, of a 405. */
  allow?: readonly string[];
  cause?: unknown;
}

/** An error with its status and code, as a client of the HTTP API sees it. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: ErrorStatus;
  readonly param: string | null;
  readonly code: string | null;
  readonly retry_after: number | undefined;
  readonly allow: readonly string[] | undefined;

  constructor(status: ErrorStatus, message: string, parts: ApiErrorParts = {}) {
    super(message, "cause" in parts ? { cause: parts.cause } : undefined);
    this.status = status;
    this.param = parts.param ?? null;
    this.code = parts.code ?? null;
    this.retry_after = parts.retry_after;
    this.allow = parts.allow;
  }

  get body(): ErrorBody {
    const { message, status, param, code } = this;
    return { error: { message, type: TYPES[status], param, code } };
  }
}

const TYPES: Readonly<Record<ErrorStatus, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "invalid_request_error",
  405: "invalid_request_error",
  408: "timeout_error",
  413: "invalid_request_error",
  415: "invalid_request_error",
  429: "rate_limit_error",
  499: "aborted",
  500: "server_error",
  503: "server_error",
  504: "timeout_error",
};

/** A request that the policy forbids, by the rule's path in the policy file. */
export function violation(message: string, rule: string, param: string | null = null): ApiError {
  return new ApiError(403, `${message} (policy rule: ${rule})`, { code: "policy_violation", param });
}

export function badRequest(
  message: string,
  param: string | null = null,
  code: string | null = null,
): ApiError {
  return new ApiError(400, message, { param, code });
}

/** Codes of errors that the request alone is at fault for, as clients see them. */
const OF_REQUEST: Partial<Record<ErrorCode, string>> = {
  bad_request: "invalid_value",
  bad_hook: "bad_hook",
  context_overflow: "context_length_exceeded",
  tokenizer: "tokenizer",
  non_finite: "non_finite",
};

/** What is known of a request whose error is shown. */
export interface ErrorContext {
  /** An abort is the deadline's doing. */
  deadline_passed?: boolean;
  /** A refusal is not the queue's. */
  is_draining?: boolean;
  /** The field that holds what the model reads: `messages`, `prompt`, `input`. */
  param?: string;
  /** Whether it brought hooks: otherwise a hook that fails is the server's own. */
  has_hooks?: boolean;
}

/**
 * Whatever was thrown while a request was served, as its client sees it. What speaks of the server (paths, causes, what was
 * being done) stays in the log.
 */
export function toApiError(error: unknown, when: ErrorContext = {}): ApiError {
  if (error instanceof ApiError) return error;
  if (!(error instanceof CapstanError)) return internal(error);
  const of_request = OF_REQUEST[error.code];
  if (of_request !== undefined) {
    const is_hook = error.code === "bad_hook";
    if (is_hook && when.has_hooks !== true) return internal(error);
    const param = is_hook ? "capstan.hooks" : (when.param ?? null);
    return new ApiError(400, messageFor(error), { code: of_request, param, cause: error });
  }
  if (error.code === "busy") return when.is_draining ? draining() : queueFull(error.retry_after ?? 1, error);
  if (error.code === "aborted") {
    return when.deadline_passed
      ? new ApiError(504, "The request took longer than the server's deadline.", {
          code: "deadline_exceeded",
        })
      : new ApiError(499, "The client has left.", { code: "client_closed_request" });
  }
  if (error.code === "out_of_memory" || error.code === "device_lost") {
    const message = "The model cannot run this request now. Try again later.";
    return new ApiError(503, message, { code: error.code, retry_after: 5, cause: error });
  }
  return internal(error);
}

/** What was needed and found; the action is the server's, and so is a fix that loads the model in another way. */
export function messageFor({ code, parts: { need, found, fix } }: CapstanError): string {
  const advice = fix === undefined || code === "context_overflow" ? "" : ` ${fix}`;
  return withoutPaths(`This model needs ${need}; the request has ${found}.${advice}`);
}

/** @param retry_after seconds */
export function queueFull(retry_after: number, cause?: unknown): ApiError {
  const message = `The server's queue is full. Try again in ${retry_after} s.`;
  return new ApiError(429, message, { code: "queue_full", retry_after, cause });
}

/** The server takes nothing new. */
export function draining(): ApiError {
  return new ApiError(503, "The server is shutting down.", { code: "draining", retry_after: 1 });
}

function internal(cause: unknown): ApiError {
  return new ApiError(500, "The server had an error while it processed the request.", {
    code: "internal",
    cause,
  });
}

/** A message without absolute paths and addresses of files: they are the server's. */
export function withoutPaths(message: string): string {
  return message
    .replace(/\bfile:\/\/\S+/g, "(a file)")
    .replace(/(^|[\s"'(=])(?:[A-Za-z]:)?[\\/](?:[^\s\\/"']+[\\/])+[^\s"',;)]*/g, "$1(a file)");
}
