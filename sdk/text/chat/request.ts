import { CapstanError, isObject, show } from "../../../models/index.ts";
import type { ContentPart, Message, TemplateArgs } from "../../types.ts";
import { fromPlain, type Source, Str, type Value } from "../jinja/index.ts";
import { Dict, List } from "../jinja/python/collections.ts";
import { strip } from "../jinja/python/text/methods.ts";
import { contentText } from "./content.ts";

/** What a chat template is given of a request, as transformers prepares it; each text knows where it is from. */

/** Texts of messages other than contents, of tools and of arguments: the caller's, and no message's content. */
const OTHER: Source = { turn: null };

export interface RequestOptions {
  /** Roles that are the template's own words. */
  known_roles: ReadonlySet<string>;
  /** Whether contents in parts are passed on as they are. */
  reads_parts: boolean;
}

/** The final message's text, which the rendering is to end with. */
export interface Ending {
  text: string;
}

/** What transformers puts behind the final message to find where it ends; the space shows whether it was trimmed. */
const TAG = "CONTINUE_FINAL_MESSAGE_TAG ";
const REASONING_FIELDS = ["reasoning_content", "thinking", "reasoning"];

/**
 * The variables of a rendering.
 *
 * @param variables what the tokenizer adds
 * @param template its source: a field to continue must occur in it
 * @throws CapstanError `bad_request` for what cannot be continued
 */
export function requestValues(
  messages: readonly Message[],
  args: TemplateArgs,
  variables: Readonly<Record<string, unknown>>,
  template: string,
  options: RequestOptions,
): { values: Map<string, Value>; ending: Ending | null } {
  const { continue_final_message, ...others } = args;
  const other = (text: string) => Str.from(text, OTHER);
  const values = new Map<string, Value>();
  // transformers passes None for what is absent.
  for (const name of ["tools", "documents"]) values.set(name, null);
  for (const [name, value] of Object.entries(variables))
    values.set(
      name,
      fromPlain(value, (text) => new Str(text)),
    );
  for (const [name, value] of Object.entries(others)) {
    if (value !== undefined) values.set(name, fromPlain(value, other));
  }
  const plain = messages.map((message) => prepared(message, options));
  const field = typeof continue_final_message === "string" ? continue_final_message : "content";
  const ending = continue_final_message ? tagFinal(plain, field, template) : null;
  values.set("messages", new List(plain.map((message, turn) => messageValue(message, turn, options))));
  return { values, ending };
}

/** A message without what is null, and its reasoning under the names that templates read. */
function prepared(message: Message, { reads_parts }: RequestOptions): Record<string, unknown> {
  const made = Object.fromEntries(Object.entries(message).filter(([, value]) => (value ?? null) !== null));
  const { content } = message;
  if (Array.isArray(content) && !reads_parts) made.content = contentText({ content });
  const reasoning = REASONING_FIELDS.map((name) => made[name]).find((value) => value !== undefined);
  return reasoning === undefined ? made : { thinking: reasoning, ...made, reasoning_content: reasoning };
}

function messageValue(
  message: Record<string, unknown>,
  turn: number,
  { known_roles }: RequestOptions,
): Value {
  const entries = Object.entries(message).map(([name, value]) => {
    const is_known_role = name === "role" && known_roles.has(String(value));
    // Each part of a content is a text of its own.
    const sourceOf = () => (name === "content" ? { turn } : is_known_role ? null : OTHER);
    return [Str.from(name, OTHER), fromPlain(value, (text) => Str.from(text, sourceOf()))] as const;
  });
  return new Dict(entries);
}

/** Puts the tag behind the final message's text. */
function tagFinal(messages: Record<string, unknown>[], field: string, template: string): Ending {
  const last = messages.at(-1) ?? {};
  const value = last[field];
  if (value === undefined) throw cannot(`a final message with ${show(field)}`, "none");
  const names = REASONING_FIELDS.includes(field)
    ? REASONING_FIELDS.filter((name) => last[name] === value)
    : [field];
  if (!names.some((name) => template.includes(name)))
    throw cannot(`a chat template that reads ${show(field)}`, "another");
  if (Array.isArray(value)) {
    const parts: ContentPart[] = value.map((part: ContentPart) => ({ ...part }));
    const part = parts.findLast((one) => isObject(one) && typeof one.text === "string");
    if (part === undefined) throw cannot("text in the final message", "none");
    const { text } = part;
    part.text = text + TAG;
    messages[messages.length - 1] = { ...last, [field]: parts };
    return { text };
  }
  if (typeof value !== "string") throw cannot(`${field} as text in the final message`, show(value));
  messages[messages.length - 1] = {
    ...last,
    ...Object.fromEntries(names.map((name) => [name, value + TAG])),
  };
  return { text: value };
}

/** The rendering up to where the final message ends. */
export function continued(rendering: Str, { text }: Ending): Str {
  const sought = strip(new Str(text), "both").value;
  const tag = TAG.trim();
  if (!rendering.value.includes(sought) || !rendering.value.includes(tag)) {
    throw cannot("a chat template that leaves the final message as it is", "one that changes it");
  }
  const at = rendering.value.lastIndexOf(tag);
  const cut = rendering.part(0, at);
  // The template took the space behind the tag away: it trims, and what stood before the tag goes the same way.
  return rendering.value.startsWith(TAG, at) ? cut : strip(cut, "right");
}

function cannot(need: string, found: string): CapstanError {
  return new CapstanError("bad_request", { action: "continue the final message", need, found });
}
