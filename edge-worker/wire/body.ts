import type { z } from "@hono/zod-openapi";
import { itemAt } from "../../models/certain.ts";
import { nearestName } from "../../sdk/common/options.ts";
import { ApiError, badRequest } from "../errors.ts";
import { fieldPath } from "../policy/policy.ts";

/** The deepest nesting of a body. Templates walk what a request gives them, each level on the stack. */
const MOST_DEPTH = 64;

/**
 * A request's body, checked against its schema.
 *
 * @throws ApiError 400 that names the field; 413 for a body of more than `max_bytes`; 415 for one that is not JSON
 */
export async function readBody<S extends z.ZodType>(
  request: Request,
  schema: S,
  max_bytes: number,
): Promise<z.output<S>> {
  const type = request.headers.get("content-type") ?? "application/json";
  if (!/^application\/([\w.+-]+\+)?json\b/i.test(type.trim()))
    throw new ApiError(415, "The body must be JSON (content-type: application/json).", {
      code: "unsupported_media_type",
    });
  const value = parse(decode(await readBytes(request, max_bytes)));
  const result = await schema.safeParseAsync(value);
  if (result.success) return result.data;
  throw explain(itemAt(result.error.issues, 0));
}

async function readBytes(request: Request, max_bytes: number): Promise<Uint8Array> {
  const tooLarge = () =>
    new ApiError(413, `The body is larger than ${max_bytes} bytes.`, { code: "body_too_large" });
  if (Number(request.headers.get("content-length") ?? 0) > max_bytes) throw tooLarge();
  if (request.body === null) return new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = request.body.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch((cause: unknown) => {
      throw new ApiError(400, "The body ended before its end.", { code: "incomplete_body", cause });
    });
    if (done) break;
    size += value.length;
    if (size > max_bytes) {
      await reader.cancel().catch(() => {});
      throw tooLarge();
    }
    chunks.push(value);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw badRequest("The body is not valid UTF-8.", null, "invalid_utf8");
  }
}

function parse(text: string): unknown {
  if (depthOf(text) > MOST_DEPTH)
    throw badRequest(`The body is nested deeper than ${MOST_DEPTH} levels.`, null, "too_deep");
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the body.
    throw badRequest("We could not parse the JSON body of your request.", null, "invalid_json");
  }
}

/** The deepest nesting of brackets outside of strings. */
function depthOf(text: string): number {
  let [depth, most, is_string] = [0, 0, false];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (is_string) {
      if (c === 0x5c) i++;
      else if (c === 0x22) is_string = false;
    } else if (c === 0x22) is_string = true;
    else if (c === 0x5b || c === 0x7b) most = Math.max(most, ++depth);
    else if (c === 0x5d || c === 0x7d) depth--;
  }
  return most;
}

type Issue = z.core.$ZodIssue;

/** The first fault of a body, in the way of OpenAI's messages. */
function explain(issue: Issue): ApiError {
  const deepest = deepestOf(issue);
  const path = fieldPath(deepest.path);
  if (deepest.code === "unrecognized_keys") {
    const key = String(deepest.keys[0]).slice(0, 100);
    const param = path === "" ? key : `${path}.${key}`;
    return badRequest(
      `Unrecognized request argument supplied: ${param}${meant(key)}`,
      param,
      "unknown_parameter",
    );
  }
  const is_missing = receivedNothing(deepest);
  if (is_missing)
    return badRequest(`Missing required parameter: '${path}'.`, path, "missing_required_parameter");
  const where = path === "" ? "the body" : `'${path}'`;
  return badRequest(
    `Invalid value for ${where}: ${deepest.message}.`,
    path === "" ? null : path,
    "invalid_value",
  );
}

/** Whether the field was left out: then every branch of a union says so. */
function receivedNothing(issue: Issue): boolean {
  if (issue.code === "invalid_union") return issue.errors.flat().some(receivedNothing);
  return issue.code === "invalid_type" && /received undefined/.test(issue.message);
}

/** Of a union's branches, the fault that lies deepest: the branch that was meant. */
function deepestOf(issue: Issue): Issue {
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return issue;
  const inner = issue.errors
    .map(([first]) => first)
    .filter((first) => first !== undefined)
    .map((first) => deepestOf({ ...first, path: [...issue.path, ...first.path] } as Issue));
  const best = inner.reduce<Issue>((deep, one) => (one.path.length > deep.path.length ? one : deep), issue);
  return best;
}

/** Names that clients of other servers send. */
const KNOWN = [
  "temperature",
  "max_tokens",
  "messages",
  "model",
  "stream",
  "capstan",
  "stop",
  "seed",
  "tools",
];

function meant(name: string): string {
  const nearest = nearestName(name, KNOWN);
  return nearest === undefined ? "" : `. Is '${nearest}' meant?`;
}
