import { type Command, Option } from "commander";
import { CapstanError } from "../../../models/index.ts";
import { generate } from "../../inference/generate.ts";
import { readText } from "../../platform/index.ts";
import type { Caps } from "../../science/index.ts";
import { checkRoles } from "../../text/index.ts";
import type { Message, Model, Prompt } from "../../types.ts";
import { readCapsFor } from "../caps.ts";
import { type Io, verb } from "../io.ts";
import {
  addModelOptions,
  addSamplingOptions,
  loadModel,
  type ModelOptions,
  type SamplingOptions,
  samplingOf,
} from "../options.ts";
import { DASH } from "../stdin.ts";

interface Options extends ModelOptions, SamplingOptions {
  prompt?: string;
  system?: string;
  messages?: string;
  raw?: boolean;
  special?: "text" | "parse";
  continue_final_message?: boolean;
  cap?: string;
  logprobs?: boolean;
}

export function addGenerate(program: Command): void {
  const command = program
    .command("generate")
    .description("write a reply to a prompt, capped or not")
    .argument("[prompt]", "what the user says; - reads stdin (default: --prompt)")
    .option("--prompt <text>", "what the user says, in place of the argument; - reads stdin (default: none)")
    .option("--system <text>", "a system message before it (default: none)")
    .option("--messages <file>", "a JSON list of { role, content } instead of a prompt (default: none)")
    .option("--raw", "continue the prompt's text as it is, without the chat template")
    .addOption(
      new Option(
        "--special <how>",
        "parse: the prompt is a chat rendered already, whose control tokens are tokens (implies --raw)",
      )
        .choices(["text", "parse"])
        .default("text"),
    )
    .option(
      "--continue_final_message",
      "with --messages: go on with the last message instead of answering it",
    )
    .option("--cap <file>", "apply the caps of a .cap.safetensors file (default: none)")
    .option("--logprobs", "with --json: the log-probability of each token");
  addModelOptions(addSamplingOptions(command)).addHelpText(
    "after",
    `
Examples:
  $ capstan generate "What colour is the sky?"
  $ echo "Hello" | capstan generate --prompt - --temperature 0 --json
  $ capstan generate --special parse --prompt "$(cat rendered.txt)"
  $ capstan generate --system "You are a pirate." --prompt "Who are you?" --cap out/cap.safetensors`,
  );
  command.action(
    verb(async (io, options: Options, argument?: string) => {
      const prompt = await readPrompt(io, withArgument(options, argument));
      const model = await loadModel(io, options);
      try {
        if (isChat(prompt)) checkRoles(prompt, model.tokenizer.chat_template, "generate");
        const caps = options.cap === undefined ? undefined : await readCapsFor(io, model, options.cap);
        await run(io, model, prompt, options, caps);
      } finally {
        await model.dispose();
      }
    }),
  );
}

function isChat(prompt: Prompt): prompt is readonly Message[] {
  return Array.isArray(prompt) && prompt.some((one) => typeof one === "object");
}

async function run(
  io: Io,
  model: Model,
  prompt: Prompt,
  options: Options,
  caps: Caps | undefined,
): Promise<void> {
  const began = performance.now();
  const reply = generate(model, prompt, {
    ...samplingOf(options),
    hooks: caps?.hooks ?? [],
    special: options.special ?? "text",
    continue_final_message: options.continue_final_message === true,
    logprobs: options.logprobs === true,
    signal: io.signal,
  });
  let first_token_ms: number | undefined;
  const tokens = [];
  for await (const token of reply) {
    first_token_ms ??= performance.now() - began;
    tokens.push(token);
    await io.stream(token.text);
  }
  const result = await reply.result;
  await io.print();
  await io.result({
    model: model.id,
    device: model.device,
    warnings: model.warnings,
    capped: caps !== undefined,
    text: result.text,
    tokens: result.tokens,
    finish_reason: result.finish_reason,
    usage: result.usage,
    ...(options.logprobs === true ? { logprobs: tokens.map((token) => token.logprob) } : {}),
    timing: { first_token_ms, total_ms: performance.now() - began },
  });
}

/** The prompt is an argument or an option, and not both. */
function withArgument(options: Options, argument: string | undefined): Options {
  if (argument === undefined) return options;
  const other = (["prompt", "messages"] as const).find((name) => options[name] !== undefined);
  if (other === undefined) return { ...options, prompt: argument };
  throw new CapstanError("bad_request", {
    action: "generate",
    need: "one prompt",
    found: `${JSON.stringify(argument)} and --${other}`,
    fix: "A text of several words goes in quotes.",
  });
}

async function readPrompt(io: Io, options: Options): Promise<Prompt> {
  if (options.messages !== undefined)
    return parseMessages(options.messages, await readText(options.messages));
  if (options.prompt === undefined) {
    throw new CapstanError("bad_request", {
      action: "generate",
      need: "a prompt, --prompt TEXT or --messages FILE",
      found: "none",
      fix: 'Try: capstan generate "Hello"',
    });
  }
  const is_rendered = options.special === "parse";
  const given = options.prompt === DASH ? await io.stdin.text("--prompt -") : options.prompt;
  // The line break that a shell adds is not part of what somebody says; of a rendered chat every one counts.
  const text = options.prompt === DASH && !is_rendered ? given.trimEnd() : given;
  if (text.trim() === "") {
    const fix =
      "A shell makes that of a variable that is not set. An empty message is sent by --messages FILE.";
    const parts = { action: "generate", need: "a prompt", found: "an empty text", fix };
    throw new CapstanError("bad_request", parts);
  }
  if (options.raw === true || is_rendered) return text;
  const system: Message[] = options.system === undefined ? [] : [{ role: "system", content: options.system }];
  return [...system, { role: "user", content: text }];
}

function parseMessages(file: string, text: string): Message[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const found = (cause as Error).message;
    throw new CapstanError(
      "bad_file",
      { action: `read ${file}`, need: "a JSON list of messages", found },
      { cause },
    );
  }
  const list = Array.isArray(value) ? value : (value as { conversation?: unknown } | null)?.conversation;
  if (Array.isArray(list)) return list as Message[];
  throw new CapstanError("bad_file", {
    action: `read ${file}`,
    need: "a JSON list of messages, or an object with a conversation",
    found: typeof value,
  });
}
