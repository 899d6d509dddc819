// `npm run soak [-- --count 2000 --device webgpu --seed 1]`: many callers at once, some broken off, on a model that is
// short of memory. One line of JSON; ends with 1 where a caller got something else than alone, or where memory stays.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { deno, install, installDeno, root } from "./steps.mjs";

install();
installDeno();
const flags = ["run", "-A", "--no-lock", "--v8-flags=--expose-gc", "testing/soak/run.ts"];
const lavapipe = "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json";
const env = { ...process.env };
if (env.VK_ICD_FILENAMES === undefined && existsSync(lavapipe)) env.VK_ICD_FILENAMES = lavapipe;
const { status } = spawnSync(deno, [...flags, ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
  env,
});
process.exit(status ?? 1);
