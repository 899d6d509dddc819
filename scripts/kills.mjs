// `npm run kills [-- --count 50 --verb collect --by SIGKILL --seed 1]`: ends verbs at random instants and calls them again
// until they are done. One line of JSON a verb; ends with 1 where a resumed folder holds something else than an unbroken
// one. `--by` may be given several times: SIGKILL, SIGINT, SIGTERM.
import { spawnSync } from "node:child_process";
import { build, deno, install, installDeno, root } from "./steps.mjs";

install();
installDeno();
build();
const script = ["run", "-A", "--no-lock", "testing/kills/run.ts"];
const args = [...process.argv.slice(2), "--", process.execPath, "bin/capstan.mjs"];
const { status } = spawnSync(deno, [...script, ...args], { cwd: root, stdio: "inherit" });
process.exit(status ?? 1);
