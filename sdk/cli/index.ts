import { Command, CommanderError } from "commander";
import { argv, packageVersion, setExitCode } from "../platform/index.ts";
import { EXIT } from "./io.ts";
import { addCap } from "./verbs/cap.ts";
import { addChat } from "./verbs/chat.ts";
import { addCollect } from "./verbs/collect.ts";
import { addDemo } from "./verbs/demo.ts";
import { addDoctor } from "./verbs/doctor.ts";
import { addEvaluate } from "./verbs/evaluate.ts";
import { addFit } from "./verbs/fit.ts";
import { addGenerate } from "./verbs/generate.ts";
import { addProject } from "./verbs/project.ts";

export { EXIT, type ExitCode, type Io, verb } from "./io.ts";

/** The command line with the SDK's verbs; other rooms add theirs before `runCli`. */
export function createCli(): Command {
  const program = new Command("capstan")
    .description("Run transformer language models at the edge and hold them to their persona.")
    .version(packageVersion(), "-V, --version")
    .showHelpAfterError("(capstan <verb> --help shows its options)")
    .addHelpText(
      "after",
      `
Examples:
  $ capstan demo                                  the whole experiment on the embedded model
  $ capstan generate --prompt "Hello"             one reply
  $ capstan chat --cap out/cap.safetensors        talk with a capped model
  $ capstan conformance conformance/reference/*   does this machine compute what the reference computes?

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 ran but a check fell short, 130 interrupted.`,
    );
  for (const add of [
    addDemo,
    addGenerate,
    addChat,
    addCollect,
    addFit,
    addCap,
    addProject,
    addEvaluate,
    addDoctor,
  ]) {
    add(program);
  }
  return program;
}

/** Parses the command line and runs its verb; the process's exit code says how it went. */
export async function runCli(program: Command, args: readonly string[] = argv()): Promise<void> {
  for (const command of [program, ...program.commands]) command.exitOverride();
  try {
    await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help and version are errors to commander, of code 0.
    setExitCode(error.exitCode === 0 ? EXIT.done : EXIT.usage);
  }
}
