// `npm run runtimes`: the table of docs/runtimes.md, written again from what each runtime does. Needs all of them.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { build, install, installDeno, root } from "./steps.mjs";

install();
installDeno();
build();
const vitest = join(root, "node_modules", ".bin", "vitest");
const env = {
  ...process.env,
  CAPSTAN_WRITE_RUNTIMES: "1",
  CAPSTAN_REQUIRE: "bun,chromium,deno,vulkan,webgpu,workerd",
};
const args = ["run", "testing/runtime_table"];
const { status } = spawnSync(vitest, args, { cwd: root, stdio: "inherit", env });
process.exit(status ?? 1);
