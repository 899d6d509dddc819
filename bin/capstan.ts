import { addBench, addConformance } from "../conformance/cli.ts";
import { createCli, runCli } from "../sdk/cli/index.ts";

/** Puts the rooms' verbs together into the one command. */
export async function main(): Promise<void> {
  const program = createCli();
  addConformance(program);
  addBench(program);
  await runCli(program);
}

// True where this file is what the runtime was asked to run (Deno); bin/capstan.mjs calls main itself.
if ((import.meta as { main?: boolean }).main === true) await main();
