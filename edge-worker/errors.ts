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
  cause?: unknown;
}

/** An error with its status and code, as a client of the HTTP API sees it. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: ErrorStatus;
  readonly param: string | null;
  readonly code: string | null;
  readonly retry_after: number | undefined;

  constructor(status: ErrorStatus, message: string, parts: ApiErrorParts = {}) {
    super(message, "cause" in parts ? { cause: parts.cause } : undefined);
    this.status = status;
    this.param = parts.param ?? null;
    this.code = parts.code ?? null;
    this.retry_after = parts.retry_after;
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

/** Codes whose messages speak of the request alone, with the status they get. */
const OF_REQUEST: Partial<Record<ErrorCode, { code: string | null; param: string | null }>> = {
  bad_request: { code: null, param: null },
  bad_hook: { code: "bad_hook", param: "capstan.hooks" },
  context_overflow: { code: "context_length_exceeded", param: "messages" },
  tokenizer: { code: "tokenizer", param: null },
  non_finite: { code: "non_finite", param: null },
};

/**
 * Whatever was thrown while a request was served, as its client sees it. What speaks of the server (paths, causes) stays in
 * the log.
 *
 * @param when `deadline_passed`: an abort is the deadline's doing; `is_draining`: a refusal is not the queue's
 */
export function toApiError(
  error: unknown,
  when: { deadline_passed?: boolean; is_draining?: boolean } = {},
): ApiError {
  if (error instanceof ApiError) return error;
  if (!(error instanceof CapstanError)) return internal(error);
  const of_request = OF_REQUEST[error.code];
  if (of_request !== undefined)
    return new ApiError(400, withoutPaths(error.message), { ...of_request, cause: error });
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
