import { CapstanError, show } from "../../../models/index.ts";
import { nearestName } from "../../common/options.ts";
import { dirname, exists, fileSize, joinPath, writeFileAtomic } from "../../platform/index.ts";
import { checkRoles } from "../../text/index.ts";
import { readCapsFor } from "../caps.ts";
import { printTurns } from "../turns.ts";
import type { Talk } from "./talk.ts";

/** What a line that begins with a slash does. */
interface Command {
  /** Its argument, for help; in brackets where it may be absent. */
  argument?: string;
  help: string;
  /** @returns whether the chat is over */
  run(talk: Talk, argument: string): Promise<boolean | undefined>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  "/help": { help: "this list", run: (talk) => help(talk) },
  "/cap": {
    argument: "[on|off|FILE]",
    help: "apply the caps, leave them out, or read others; alone: whether they are applied",
    run: setCap,
  },
  "/drift": {
    argument: "[AXIS]",
    help: "the replies so far on the Assistant axis, turn by turn",
    run: showDrift,
  },
  "/undo": { help: "forget your last message and the reply to it", run: undo },
  "/reset": { help: "start over", run: reset },
  "/save": {
    argument: "FILE",
    help: "write the conversation as JSON, as capstan project reads it",
    run: save,
  },
  "/load": { argument: "FILE", help: "go on with a conversation that was saved", run: load },
  "/quit": { help: "end the chat (Ctrl-D does, too)", run: async () => true },
};

/** The commands for `capstan chat --help` and `/help`, one a line. */
export function commandList(): string[] {
  const lines = Object.entries(COMMANDS).map(([name, { argument = "", help }]) => {
    return `  ${`${name} ${argument}`.trim().padEnd(20)} ${help}`;
  });
  return [...lines, `  ${"//text".padEnd(20)} say a text that begins with a slash`];
}

/**
 * Runs a line that begins with a slash. What goes wrong is said, and the chat goes on.
 *
 * @returns whether the chat is over
 */
export async function runCommand(talk: Talk, line: string): Promise<boolean> {
  const [, name = "", argument = ""] = /^(\S+)\s*(.*)$/s.exec(line) ?? [];
  try {
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
    if (command === undefined) throw unknown(name);
    if (argument === "" && command.argument !== undefined && !command.argument.startsWith("[")) {
      throw wrong(name, `${name} ${command.argument}`, "nothing behind it");
    }
    if (argument !== "" && command.argument === undefined) throw wrong(name, `${name} alone`, show(argument));
    return (await command.run(talk, argument)) === true;
  } catch (error) {
    if (!(error instanceof CapstanError) || talk.io.signal.aborted) throw error;
    await talk.io.note(`capstan: ${error.message}`);
    return false;
  }
}

async function help({ io }: Talk): Promise<undefined> {
  for (const line of commandList()) await io.print(line);
}

async function setCap(talk: Talk, argument: string): Promise<undefined> {
  const { io } = talk;
  if (argument === "off") talk.is_capped = false;
  else if (argument !== "" && argument !== "on") {
    talk.cap = { path: argument, caps: await readCapsFor(io, talk.model, argument) };
    talk.is_capped = true;
  } else if (talk.cap === undefined && argument === "on") {
    const fix = "Name their file: /cap FILE; `capstan cap AXIS --out FILE` writes one.";
    throw new CapstanError("bad_request", { action: "/cap on", need: "caps", found: "none so far", fix });
  } else if (argument === "on") talk.is_capped = true;
  if (talk.cap === undefined) await io.print("no caps");
  else {
    const { start, end } = talk.cap.caps.layers;
    await io.print(`caps ${talk.is_capped ? "on" : "off"}: ${talk.cap.path}, layers ${start}:${end}`);
  }
}

async function showDrift(talk: Talk, argument: string): Promise<undefined> {
  const { io, model, messages, hooks } = talk;
  const { project, readAxis } = await import("../../science/index.ts");
  const { readingLayer } = await import("../../science/experiment.ts");
  // A file that was named is looked at in any case.
  const named = argument === "" ? undefined : await readAxis(argument);
  if (!messages.some(({ role }) => role === "assistant"))
    throw wrong("/drift", "a reply to project", "none so far");
  const path = argument === "" ? await axisPath(talk) : argument;
  const axis = named ?? (await readAxis(path));
  // One layer for caps on and off, so that the two can be compared.
  const { layer, note } = readingLayer(axis, talk.cap?.caps.hooks ?? [], undefined, "/drift");
  const result = await project(model, messages, { axis, hooks, layer, signal: io.signal });
  for (const warning of result.warnings) await io.warn(warning);
  const why = note === undefined ? "" : `; at its own layer ${axis.target_layer} the caps change nothing`;
  await io.print(`on ${path}${hooks.length > 0 ? ", under the caps" : ""}${why}`);
  await printTurns(io, result);
}

/** `--axis`, else the file beside the caps, else the one in this folder. */
async function axisPath({ axis, cap }: Talk): Promise<string> {
  if (axis !== undefined) return axis;
  const beside = cap === undefined ? AXIS : joinPath(dirname(cap.path), AXIS);
  return (await exists(beside)) ? beside : AXIS;
}

const AXIS = "axis.safetensors";

async function undo(talk: Talk): Promise<undefined> {
  if (!talk.undo())
    throw new CapstanError("bad_request", { action: "/undo", need: "a message", found: "none" });
  await talk.io.print(`${countOf(talk)} left`);
}

async function reset(talk: Talk): Promise<undefined> {
  talk.reset();
}

async function save(talk: Talk, path: string): Promise<undefined> {
  const { model, messages } = talk;
  if (messages.length === 0) {
    throw new CapstanError("bad_request", { action: "/save", need: "a conversation", found: "no messages" });
  }
  if (((await fileSize(path)) ?? 0) > 0) await checkConversation(path);
  await writeFileAtomic(path, `${JSON.stringify({ model: model.id, conversation: messages }, null, 2)}\n`);
  await talk.io.print(`${countOf(talk)} in ${path}`);
}

/** A conversation may take the place of another one, and of nothing else. */
async function checkConversation(path: string): Promise<void> {
  const { readTranscript } = await import("../../science/experiment.ts");
  await readTranscript(path).catch(() => {
    const need = "a new file, or a conversation to replace";
    throw wrong("/save", need, `another file, ${path}`);
  });
}

async function load(talk: Talk, path: string): Promise<undefined> {
  const { readTranscript } = await import("../../science/experiment.ts");
  const messages = await readTranscript(path);
  checkRoles(messages, talk.model.tokenizer.chat_template, `/load ${path}`);
  talk.messages = messages;
  await talk.io.print(`${countOf(talk)} of ${path}`);
  if (talk.messages.at(-1)!.role === "user") await talk.answer();
}

function countOf({ messages: { length } }: Talk): string {
  return length === 1 ? "1 message" : `${length} messages`;
}

function unknown(name: string): CapstanError {
  const nearest = nearestName(name, Object.keys(COMMANDS));
  const meant = nearest === undefined ? "/help lists the commands" : `Is ${nearest} meant`;
  const fix = `${meant}${nearest === undefined ? "." : "?"} A message that begins with a slash is written with two: /${name}.`;
  return new CapstanError("bad_request", { action: "chat", need: "a command", found: show(name), fix });
}

function wrong(action: string, need: string, found: string): CapstanError {
  return new CapstanError("bad_request", { action, need, found });
}
