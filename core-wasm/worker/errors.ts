import { CapstanError, type ErrorCode, type ErrorParts } from "../../models/errors.ts";

/** An error on its way between threads: structured clones keep neither its class nor its fields. */
export type SentError =
  | { type: "capstan"; code: ErrorCode; parts: ErrorParts; retry_after?: number; cause?: SentError }
  | { type: "error"; name: string; message: string; stack: string | undefined; cause?: SentError }
  | { type: "value"; value: unknown };

/** The error as a message takes it. */
export function sendError(error: unknown): SentError {
  if (!(error instanceof Error)) return { type: "value", value: cloneable(error) };
  const cause = error.cause === undefined ? {} : { cause: sendError(error.cause) };
  if (error instanceof CapstanError) {
    const { code, parts, retry_after } = error;
    return { type: "capstan", code, parts, ...(retry_after === undefined ? {} : { retry_after }), ...cause };
  }
  const { name, message, stack } = error;
  return { type: "error", name, message, stack, ...cause };
}

/** The error that was sent: a `CapstanError` with its code, parts and cause, or another of the same name and text. */
export function receiveError(sent: SentError): unknown {
  if (sent.type === "value") return sent.value;
  const cause = sent.cause === undefined ? {} : { cause: receiveError(sent.cause) };
  if (sent.type === "capstan") {
    const retry = sent.retry_after === undefined ? {} : { retry_after: sent.retry_after };
    return new CapstanError(sent.code, sent.parts, { ...cause, ...retry });
  }
  const { name, message, stack } = sent;
  return Object.assign(new Error(message, cause), { name }, stack === undefined ? {} : { stack });
}

function cloneable(value: unknown): unknown {
  return typeof value === "object" || typeof value === "function" || typeof value === "symbol"
    ? String(value)
    : value;
}
