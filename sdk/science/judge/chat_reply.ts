import { isObject } from "../../../models/index.ts";
import { Passing } from "../../checkpoint/source/http_answers.ts";

/** What a chat endpoint answered, whichever way: one object of JSON, or server-sent events. */

/** The longest answer that is read; a score has a few letters, and reasoning some thousand. */
const MOST_BYTES = 4 * 2 ** 20;

/** An answer that is no chat completion: no further try would change it. */
export class NotChat extends Error {}

/** The text of an answer. @throws Passing where it was cut, NotChat */
export async function replyText(response: Response): Promise<string> {
  const type = response.headers.get("content-type") ?? "";
  const body = await bodyText(response);
  const is_stream = /^text\/event-stream/i.test(type) || /^(?:data:|event:|id:|:)/.test(body);
  return is_stream ? streamedText(body) : textOfChat(parse(body));
}

/** What the server says of a status: the message of its error, else the text as it stands. */
export async function errorText(response: Response): Promise<string> {
  const text = (await bodyText(response).catch(() => "")).trim();
  try {
    const body: unknown = JSON.parse(text);
    const error: unknown = isObject(body) ? (body.error ?? body.message ?? body.detail) : undefined;
    const message: unknown = isObject(error) ? error.message : error;
    if (typeof message === "string") return message;
  } catch {
    // Not JSON: shown as it is.
  }
  return text;
}

/** The whole body as text. */
export async function bodyText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  if (reader === undefined) return "";
  let text = "";
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    length += value.length;
    if (length > MOST_BYTES) {
      await reader.cancel().catch(() => {});
      throw new NotChat(`an answer of over ${MOST_BYTES} bytes`);
    }
    text += decoder.decode(value, { stream: true });
  }
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new NotChat(quoted(body.trim()));
  }
}

/** The deltas of a stream put together. One that ends before it says so was cut. */
function streamedText(body: string): string {
  let text = "";
  let ended = false;
  for (const line of body.split(/\r\n|\n|\r/)) {
    const data = /^data: ?(.*)$/.exec(line)?.[1];
    if (data === undefined || data === "") continue;
    if (data.trim() === "[DONE]") {
      ended = true;
      break;
    }
    const event = parse(data);
    throwError(event);
    const choice = firstChoice(event);
    if (choice === undefined) continue;
    text += contentOf(choice.delta) ?? "";
    if (typeof choice.finish_reason === "string") ended = true;
  }
  if (!ended) throw new Passing("a stream that was cut");
  return text;
}

function textOfChat(body: unknown): string {
  throwError(body);
  const choice = firstChoice(body);
  if (choice === undefined || !isObject(choice.message)) throw new NotChat(JSON.stringify(body));
  // A refusal, or reasoning that used up all tokens: there is no content.
  return contentOf(choice.message) ?? "";
}

/** Some servers answer 200 and put the error into the body. */
function throwError(body: unknown): void {
  if (!isObject(body) || !isObject(body.error)) return;
  const { code, message } = body.error as { code?: unknown; message?: unknown };
  const found = quoted(typeof message === "string" ? message : JSON.stringify(body.error));
  const status = Number(code);
  if (status === 429 || status === 408 || (status >= 500 && status < 600)) throw new Passing(found);
  throw new NotChat(`an error, ${found}`);
}

function quoted(text: string): string {
  return JSON.stringify(text);
}

function firstChoice(body: unknown): Record<string, unknown> | undefined {
  const choices = isObject(body) ? body.choices : undefined;
  const first: unknown = Array.isArray(choices) ? choices[0] : undefined;
  return isObject(first) ? (first as Record<string, unknown>) : undefined;
}

/** A message's text: a string, or parts of which some are text. */
function contentOf(message: unknown): string | undefined {
  const content = isObject(message) ? message.content : undefined;
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return undefined;
  return content.map((part) => (isObject(part) && typeof part.text === "string" ? part.text : "")).join("");
}
