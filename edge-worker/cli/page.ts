import type { Command } from "commander";
import { EXIT } from "../../sdk/cli/exit.ts";
import { type Io, verb } from "../../sdk/cli/io.ts";
import { writePage } from "./page_files.ts";

export function addPage(program: Command): void {
  program
    .command("page <folder>")
    .description("write the chat page as a folder for any static server; there it runs its model itself")
    .option("--json", "print one JSON object on stdout and nothing else")
    .addHelpText("after", "\nExamples:\n  $ capstan page site")
    .action(verb(async (io, _: { json?: boolean }, folder: string) => await write(io, folder)));
}

async function write(io: Io, folder: string) {
  const files = await writePage(folder);
  await io.print(`wrote ${files.length} files to ${folder}: serve it over https or on localhost`);
  await io.result({ folder, files });
  return EXIT.done;
}
