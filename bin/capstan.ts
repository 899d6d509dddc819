import { createCli, runCli, SDK_VERBS, type Verbs } from "../sdk/cli/index.ts";
import { argv, reserveStdout } from "../sdk/platform/index.ts";

/** Every verb of the command, by name. */
export const VERBS: Verbs = {
  ...SDK_VERBS,
  serve: async () => (await import("../edge-worker/cli/serve.ts")).addServe,
  policy: async () => (await import("../edge-worker/cli/policy.ts")).addPolicy,
  page: async () => (await import("../edge-worker/cli/page.ts")).addPage,
  conformance: async () => (await import("../conformance/check/cli.ts")).addConformance,
  bench: async () => (await import("../bench/cli.ts")).addBench,
};

/** Puts all verbs together into the one command. */
export async function main(): Promise<void> {
  if (argv().includes("--json")) reserveStdout();
  await runCli(await createCli(VERBS));
}

// True where this file is what the runtime was asked to run (Deno); bin/capstan.mjs calls main itself.
// Not awaited here: Deno gives up on a module that waits for what never comes before a verb can say what that is.
if ((import.meta as { main?: boolean }).main === true) void main();
