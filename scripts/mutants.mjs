// `npm run mutants [-- NAME ... --sample 10 --seed 1 --json --list]`: deliberate faults, each made in a copy of this
// repository, where one of its tests has to fail. A name is the beginning of one: `sdk/science` takes all of that folder.
// Ends with 3 where a fault survives, with 1 where an edit of the list no longer fits its file.
import { spawnSync } from "node:child_process";
import { deno, install, installDeno, root } from "./steps.mjs";

install();
installDeno();
const env = { ...process.env, CAPSTAN_NODE: process.execPath };
const args = ["run", "-A", "--no-lock", "testing/mutants/run.ts", ...process.argv.slice(2)];
const { status } = spawnSync(deno, args, { cwd: root, stdio: "inherit", env });
process.exit(status ?? 1);
