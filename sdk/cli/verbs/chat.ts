import type { Command } from "commander";
import { CapstanError } from "../../../models/index.ts";
import { generate } from "../../generate.ts";
import { readLines } from "../../platform/index.ts";
import type { GenerateOptions, Message, Model } from "../../types.ts";
import { type Io, verb } from "../io.ts";
import {
  addModelOptions,
  addSamplingOptions,
  loadModel,
  type ModelOptions,
  type SamplingOptions,
  samplingOf,
} from "../options.ts";
import { readCapsFor } from "./generate.ts";

interface Options extends ModelOptions, SamplingOptions {
  system?: string;
  cap?: string;
}

export function addChat(program: Command): void {
  const command = program
    .command("chat")
    .description("talk with a model, one line a turn; /reset starts over, /quit or Ctrl-D ends")
    .option("--system <text>", "a system message")
    .option("--cap <file>", "apply the caps of a .cap.safetensors file");
  addModelOptions(addSamplingOptions(command)).addHelpText(
    "after",
    `
Examples:
  $ capstan chat
  $ capstan chat --system "You are a ghost of the old theatre." --cap out/cap.safetensors`,
  );
  command.action(
    verb(async (io, options: Options) => {
      const model = await loadModel(io, options);
      try {
        const caps = options.cap === undefined ? undefined : await readCapsFor(io, model, options.cap);
        await talk(io, model, options, {
          ...samplingOf(options),
          hooks: caps?.hooks ?? [],
          signal: io.signal,
        });
      } finally {
        await model.dispose();
      }
    }),
  );
}

async function talk(io: Io, model: Model, options: Options, generation: GenerateOptions): Promise<void> {
  const start: Message[] = options.system === undefined ? [] : [{ role: "system", content: options.system }];
  let messages = [...start];
  await io.print(`${model.id} on ${model.device.description}. /reset starts over, /quit ends.`);
  await io.stream("> ");
  for await (const line of readLines(io.signal)) {
    const text = line.trim();
    if (text === "/quit") break;
    if (text === "/reset") messages = [...start];
    else if (text !== "")
      messages = await turn(io, model, [...messages, { role: "user", content: text }], generation);
    await io.stream("> ");
  }
  await io.print();
  await io.result({ model: model.id, conversation: messages });
}

/** One reply; a turn that does not fit is said and dropped, and the talk goes on. */
async function turn(
  io: Io,
  model: Model,
  messages: Message[],
  generation: GenerateOptions,
): Promise<Message[]> {
  try {
    const reply = generate(model, messages, generation);
    for await (const token of reply) await io.stream(token.text);
    await io.print();
    return [...messages, { role: "assistant", content: (await reply.result).text }];
  } catch (error) {
    if (!(error instanceof CapstanError) || error.code !== "context_overflow") throw error;
    await io.note(`capstan: ${error.message} Type /reset to start over.`);
    return messages.slice(0, -1);
  }
}
