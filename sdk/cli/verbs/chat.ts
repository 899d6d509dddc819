import type { Command } from "commander";
import { CapstanError } from "../../../models/index.ts";
import type { Model } from "../../types.ts";
import { readCapsFor } from "../caps.ts";
import { commandList, runCommand } from "../chat/commands.ts";
import { openLines } from "../chat/lines.ts";
import { Talk } from "../chat/talk.ts";
import { type Io, verb } from "../io.ts";
import {
  addModelOptions,
  addSamplingOptions,
  loadModel,
  type ModelOptions,
  type SamplingOptions,
  samplingOf,
} from "../options.ts";

interface Options extends ModelOptions, SamplingOptions {
  system?: string;
  cap?: string;
  axis?: string;
}

export function addChat(program: Command): void {
  const command = program
    .command("chat")
    .description("talk with a model, one line a turn; /help lists what else a line may be")
    .option("--system <text>", "a system message (default: none)")
    .option("--cap <file>", "apply the caps of a .cap.safetensors file (default: none)")
    .option(
      "--axis <file>",
      "what /drift projects on (default: axis.safetensors beside the caps, else here)",
    );
  addModelOptions(addSamplingOptions(command)).addHelpText(
    "after",
    `
Examples:
  $ capstan chat
  $ capstan chat --system "You are a ghost of the old theatre." --cap out/cap.safetensors

A line is said to the model, unless it is one of:
${commandList().join("\n")}

Ctrl-C stops a reply; at an empty line, twice, it ends the chat with exit code 130.`,
  );
  command.action(
    verb(async (io, options: Options) => {
      if (io.stdin.reader !== undefined) {
        const found = `${io.stdin.reader} before it`;
        throw new CapstanError("bad_request", { action: "chat", need: "stdin for what is said", found });
      }
      const model = await loadModel(io, options, true);
      try {
        const { cap, axis, system } = options;
        const caps = cap === undefined ? undefined : { path: cap, caps: await readCapsFor(io, model, cap) };
        const talk = new Talk(io, model, {
          ...(system === undefined ? {} : { system }),
          ...(caps === undefined ? {} : { cap: caps }),
          ...(axis === undefined ? {} : { axis }),
          generation: { ...samplingOf(options), signal: io.signal },
        });
        await converse(io, model, talk);
      } finally {
        await model.dispose();
      }
    }),
  );
}

async function converse(io: Io, model: Model, talk: Talk): Promise<void> {
  await io.print(`${model.id} on ${model.device.description}. /help lists commands, /quit ends.`);
  const lines = openLines(io);
  let asked_to_end = false;
  io.onCtrlC(() => {
    if (talk.stop() || lines.erase()) return true;
    // In a pipe nobody sees that a second one is needed.
    if (asked_to_end || !lines.is_terminal) return false;
    asked_to_end = true;
    void lines.interject("Ctrl-C again, Ctrl-D or /quit ends the chat.");
    return true;
  });
  try {
    for (;;) {
      const line = await lines.next();
      if (line === undefined) break;
      asked_to_end = false;
      const text = line.trim();
      if (text.startsWith("//")) await talk.say(text.slice(1));
      else if (text.startsWith("/")) {
        if (await runCommand(talk, text)) break;
      } else if (text !== "") await talk.say(text);
    }
  } finally {
    lines.close();
  }
  await io.print();
  const { messages, cap, is_capped } = talk;
  await io.result({ model: model.id, conversation: messages, cap: cap?.path ?? null, capped: is_capped });
}
