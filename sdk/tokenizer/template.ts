import { Template } from "@huggingface/jinja";
import { CapstanError, show } from "../../models/index.ts";
import type { Message, TemplateArgs } from "../types.ts";
import { globalScope, type Node, PythonInterpreter } from "./python_jinja.ts";
import { strftime } from "./python_text.ts";

/** The longest template that is read, in characters, and the longest run of whitespace in one: real ones have some
 * ten thousand and some hundred. Beyond them the library's reader takes time that grows with the square. */
const LONGEST_TEMPLATE = 2 ** 18;
const LONGEST_GAP = 2000;

/** A model's chat template, rendered as transformers does it. */
export class ChatTemplate {
  readonly #program: Node;
  readonly #variables: Readonly<Record<string, unknown>>;

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
    if (new RegExp(`\\s{${LONGEST_GAP}}`).test(source))
      throw read(`at most ${LONGEST_GAP} spaces in a row`, "more");
    try {
      this.#program = new Template(source.replace(/\r\n?/g, "\n")).parsed as unknown as Node;
    } catch (cause) {
      throw read("jinja", messageOf(cause), cause);
    }
    this.#variables = variables;
  }

  /**
   * @param now what `strftime_now` tells
   * @throws CapstanError `bad_request` with the template's own words where it refuses the messages
   */
  render(messages: readonly Message[], args: TemplateArgs, now: Date): string {
    const functions = {
      raise_exception: (text: unknown) => {
        throw new Refusal(String(text));
      },
      strftime_now: (format: unknown) => strftime(now, String(format)),
    };
    const given = Object.fromEntries(Object.entries(args).filter(([, value]) => value !== undefined));
    // transformers passes None for what is absent.
    const all = {
      tools: null,
      documents: null,
      ...this.#variables,
      ...given,
      messages: messages.map(withReasoning),
    };
    try {
      const scope = globalScope(all, functions);
      return String(new PythonInterpreter(scope).evaluate(this.#program, scope).value);
    } catch (cause) {
      const refused = cause instanceof Refusal;
      throw new CapstanError(
        "bad_request",
        {
          action: "render the chat template",
          need: refused ? "messages that it takes" : "messages and arguments that it can render",
          found: refused ? show(cause.message) : messageOf(cause),
        },
        { cause },
      );
    }
  }
}

/** Reasoning goes by three names; transformers shows templates the two that they read. */
function withReasoning(message: Message): Message {
  const reasoning = message.reasoning_content ?? message.thinking ?? message.reasoning;
  if (reasoning === undefined || reasoning === null) return message;
  return { thinking: reasoning, ...message, reasoning_content: reasoning };
}

/** The template's own `raise_exception`. */
class Refusal extends Error {}

function messageOf(error: unknown): string {
  return show(error instanceof Error ? error.message : String(error));
}
