import { Command, CommanderError } from "commander";
import { nearestName } from "../common/options.ts";
import { argv, packageVersion, type Stream, setExitCode, write } from "../platform/index.ts";
import { EXIT } from "./exit.ts";

export { EXIT, type ExitCode } from "./exit.ts";

/** Adds a verb to the command line. */
export type AddVerb = (program: Command) => void;

/** Verbs by name, each in a module of its own that is read only when it is needed. */
export type Verbs = Readonly<Record<string, () => Promise<AddVerb>>>;

/** The SDK's verbs, in the order that help lists them. */
export const SDK_VERBS: Verbs = {
  demo: async () => (await import("./verbs/demo.ts")).addDemo,
  generate: async () => (await import("./verbs/generate.ts")).addGenerate,
  chat: async () => (await import("./verbs/chat.ts")).addChat,
  collect: async () => (await import("./verbs/collect.ts")).addCollect,
  judge: async () => (await import("./verbs/judge.ts")).addJudge,
  fit: async () => (await import("./verbs/fit.ts")).addFit,
  cap: async () => (await import("./verbs/cap.ts")).addCap,
  project: async () => (await import("./verbs/project.ts")).addProject,
  plot: async () => (await import("./verbs/plot.ts")).addPlot,
  evaluate: async () => (await import("./verbs/evaluate.ts")).addEvaluate,
  pull: async () => (await import("./verbs/pull.ts")).addPull,
  doctor: async () => (await import("./verbs/doctor.ts")).addDoctor,
};

/** The command line. Of the verbs only the one that is called is read; all of them for help. */
export async function createCli(verbs: Verbs, args: readonly string[] = argv()): Promise<Command> {
  const program = new Command("capstan")
    .description("Run transformer language models at the edge and hold them to their persona.")
    .version(await packageVersion(), "-V, --version")
    // What stands after a verb is the verb's, and after a subcommand the subcommand's.
    .enablePositionalOptions()
    .showHelpAfterError("(capstan <verb> --help shows its options)")
    .addHelpText(
      "after",
      `
Examples:
  $ capstan demo                                  the whole experiment on the embedded model
  $ capstan generate --prompt "Hello"             one reply
  $ capstan chat --cap out/cap.safetensors        talk with a capped model
  $ capstan conformance                           does this machine compute what the reference computes?

Options may be written with - or _ (--max-tokens is --max_tokens). Where a file is read, - is stdin.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 ran but a check fell short, 130 interrupted by Ctrl-C, 143 by SIGTERM.`,
    );
  for (const read of verbsToRead(verbs, args[0])) (await read())(program);
  return program;
}

function verbsToRead(verbs: Verbs, first: string | undefined): Verbs[string][] {
  if (first === "-V" || first === "--version") return [];
  const called = first !== undefined && Object.hasOwn(verbs, first) ? verbs[first] : undefined;
  return called === undefined ? Object.values(verbs) : [called];
}

/** Parses the command line and runs its verb; the process's exit code says how it went. */
export async function runCli(program: Command, args: readonly string[] = argv()): Promise<void> {
  throwOnExit(program);
  const said: [Stream, string][] = [];
  gatherOutput(program, (stream, text) => said.push([stream, text]));
  try {
    // Commander answers an unknown verb's --help with its own, as if all were well.
    const [verb] = args[0] === "help" ? args.slice(1) : args;
    if (verb !== undefined && !verb.startsWith("-")) checkVerb(program, verb);
    await program.parseAsync(spellAsDeclared(program, args), { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help and version are errors to commander, of code 0.
    setExitCode(error.exitCode === 0 ? EXIT.done : EXIT.usage);
  }
  await print(said);
}

/** Prints what commander said. A reader that went away is no error; a full disk is one, in a line. */
async function print(said: readonly [Stream, string][]): Promise<void> {
  try {
    for (const [stream, text] of said) await write(stream, text);
  } catch (error) {
    setExitCode(EXIT.failed);
    // It may be stderr itself that fails.
    await write("stderr", `capstan: ${(error as Error).message}\n`).catch(() => {});
  }
}

function checkVerb(program: Command, verb: string): void {
  const names = program.commands.map((command) => command.name());
  if (names.includes(verb) || verb === "help") return;
  const nearest = nearestName(verb, names);
  const meant = nearest === undefined ? "" : `\n(Did you mean ${nearest}?)`;
  program.error(`error: unknown command '${verb}'${meant}`, { code: "commander.unknownCommand" });
}

/** Commander ends the process unless asked to throw, each subcommand by itself. */
function throwOnExit(command: Command): void {
  command.exitOverride();
  command.commands.forEach(throwOnExit);
}

/** Commander writes without waiting, so that a pipe or a disk that takes nothing ends the process with a stack trace. */
function gatherOutput(command: Command, take: (stream: Stream, text: string) => void): void {
  command.configureOutput({
    writeOut: (text) => take("stdout", text),
    writeErr: (text) => take("stderr", text),
  });
  for (const one of command.commands) gatherOutput(one, take);
}

/** The arguments with every option as it was declared: `--max-tokens` for `--max_tokens`, and the other way round. */
export function spellAsDeclared(program: Command, args: readonly string[]): string[] {
  const spelled = [...args];
  let command = program;
  for (let i = 0; i < spelled.length && spelled[i] !== "--"; i++) {
    const [, name, value = ""] = /^--([^=]+)(=.*)?$/s.exec(spelled[i]!) ?? [];
    if (name === undefined) {
      command = command.commands.find((one) => one.name() === spelled[i]) ?? command;
      continue;
    }
    const plain = (text: string) => text.replaceAll("-", "_");
    const option = command.options.find(({ long }) => plain(long?.slice(2) ?? "") === plain(name));
    if (option === undefined) continue;
    spelled[i] = `${option.long}${value}`;
    // What follows is its value, whatever it looks like.
    if (option.required && value === "") i++;
  }
  return spelled;
}
