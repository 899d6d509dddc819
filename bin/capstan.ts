import { createCli, runCli, SDK_VERBS } from "../sdk/cli/index.ts";

/** Puts the rooms' verbs together into the one command. */
export async function main(): Promise<void> {
  const program = await createCli({
    ...SDK_VERBS,
    conformance: async () => (await import("../conformance/check/cli.ts")).addConformance,
    bench: async () => (await import("../conformance/bench/cli.ts")).addBench,
  });
  await runCli(program);
}

// True where this file is what the runtime was asked to run (Deno); bin/capstan.mjs calls main itself.
if ((import.meta as { main?: boolean }).main === true) await main();
