// `npm run edge-load [-- --streams 1000 --model capstan-tiny --seed 1 --json]`: that many streams at once on a server of
// its own, some broken off, some read slowly. Ends with 3 where one was lost, failed or got another's text, or where blocks stay.
import { spawnSync } from "node:child_process";
import { build, deno, install, installDeno, root } from "./steps.mjs";

install();
installDeno();
build();
const script = ["run", "-A", "--no-lock", "testing/edge_load/run.ts"];
const args = [...process.argv.slice(2), "--", process.execPath, "bin/capstan.mjs"];
const { status } = spawnSync(deno, [...script, ...args], { cwd: root, stdio: "inherit" });
process.exit(status ?? 1);
