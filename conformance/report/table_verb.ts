import type { Command } from "commander";
import { CapstanError } from "../../models/index.ts";
import { type Io, verb } from "../../sdk/cli/io.ts";
import { readText, writeFileAtomic } from "../../sdk/platform/index.ts";
import { readRunFile } from "./read.ts";
import { conformanceTable } from "./table.ts";

/** Between these lines of a document stands the table. */
const MARKS = ["<!-- conformance table -->", "<!-- end of the conformance table -->"] as const;

interface Options {
  write?: string;
  json?: boolean;
}

/** `capstan conformance table`. */
export function addTable(conformance: Command): void {
  conformance
    .command("table")
    .description("architecture x device x dtype, as a Markdown table of several runs")
    .argument("<runs...>", "what capstan conformance --json printed, a file for each device and dtype")
    .option("--write <file.md>", `put it into a document, between ${MARKS.join(" and ")} (default: print it)`)
    .option("--json", "print one JSON object on stdout and nothing else")
    .action(verb((io, options: Options, runs: string[]) => run(io, runs, options)));
}

async function run(io: Io, paths: readonly string[], { write }: Options): Promise<undefined> {
  const runs = [];
  for (const path of paths) runs.push(await readRunFile(path));
  const table = conformanceTable(runs);
  if (write === undefined) await io.print(table);
  else {
    await writeFileAtomic(write, replaceTable(await readText(write), table, write));
    await io.print(`wrote ${write}`);
  }
  await io.result({ table });
}

function replaceTable(document: string, table: string, path: string): string {
  const [start, end] = MARKS.map((mark) => document.indexOf(mark)) as [number, number];
  if (start >= 0 && end > start) {
    return `${document.slice(0, start + MARKS[0].length)}\n${table}\n${document.slice(end)}`;
  }
  throw new CapstanError("bad_file", {
    action: `write the table into ${path}`,
    need: `a line ${MARKS[0]} and below it a line ${MARKS[1]}`,
    found: "none",
  });
}
