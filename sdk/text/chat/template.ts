import { CapstanError, show } from "../../../models/index.ts";
import type { Message, TemplateArgs } from "../../types.ts";
import { Fault, makeGlobals, type Str, Template } from "../jinja/index.ts";
import { strftime } from "../jinja/strftime.ts";
import { continued, requestValues } from "./request.ts";
import { knownRoles, readsParts } from "./template_use.ts";

/** The longest template that is read, in characters: real ones have some ten thousand. */
const LONGEST_TEMPLATE = 2 ** 18;

/** A model's chat template, rendered as transformers does it. */
export class ChatTemplate {
  readonly #template: Template;
  readonly #source: string;
  readonly #variables: Readonly<Record<string, unknown>>;
  readonly #known_roles: ReadonlySet<string>;
  readonly #reads_parts: boolean;

  /**
   * @param source jinja text
   * @param variables what the tokenizer adds: `bos_token`, `eos_token`, ...
   * @throws CapstanError `tokenizer` when the text is no jinja
   */
  constructor(source: string, variables: Readonly<Record<string, unknown>>) {
    const read = (need: string, found: string, cause?: unknown) =>
      new CapstanError("tokenizer", { action: "read the chat template", need, found }, { cause });
    if (source.length > LONGEST_TEMPLATE)
      throw read(`at most ${LONGEST_TEMPLATE} characters`, `${source.length}`);
    try {
      this.#template = new Template(source);
    } catch (cause) {
      throw read("jinja", messageOf(cause), cause);
    }
    this.#source = source;
    this.#variables = variables;
    this.#known_roles = knownRoles(this.#template.statements);
    this.#reads_parts = readsParts(this.#template.statements);
  }

  /**
   * @param now what `strftime_now` tells
   * @throws CapstanError `bad_request` with the template's own words where it refuses the messages
   */
  render(messages: readonly Message[], args: TemplateArgs, now: Date): string {
    return this.trace(messages, args, now).value;
  }

  /** The rendering, which knows of each character whether it came from a message, from elsewhere, or from nobody. */
  trace(messages: readonly Message[], args: TemplateArgs, now: Date): Str {
    try {
      const options = { known_roles: this.#known_roles, reads_parts: this.#reads_parts };
      const { values, ending } = requestValues(messages, args, this.#variables, this.#source, options);
      const globals = makeGlobals((format) => strftime(now, format));
      const text = this.#template.render(new Map([...globals, ...values]));
      return ending === null ? text : continued(text, ending);
    } catch (cause) {
      if (!(cause instanceof Fault)) throw cause;
      const is_refusal = cause.kind === "TemplateError";
      throw new CapstanError(
        "bad_request",
        {
          action: "render the chat template",
          need: is_refusal ? "messages that it takes" : "messages and arguments that it can render",
          found: messageOf(cause),
        },
        { cause },
      );
    }
  }
}

/** What went wrong, and at which line of the template. */
function messageOf(error: unknown): string {
  const text = show(error instanceof Error ? error.message : String(error));
  const line = error instanceof Fault ? error.line : null;
  return line === null ? text : `${text} (line ${line} of the template)`;
}

/**
 * A template of a tokenizer.
 *
 * @param variables the special tokens that the tokenizer hands to it: `bos_token`, `eos_token`, ...
 */
export function makeTemplate(source: string, variables: Readonly<Record<string, string>>): ChatTemplate {
  return new ChatTemplate(source, variables);
}
