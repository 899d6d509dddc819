import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { type Ending, killAtRandom } from "./kills.ts";
import { KILLED_VERBS, type KilledVerbName } from "./verbs.ts";

/** `run.ts --count 50 --verb collect --by SIGKILL -- node bin/capstan.mjs`: a line of JSON a verb; ends with 1 where one is wrong. */
const { values, positionals } = parseArgs({
  options: {
    count: { type: "string", default: "50" },
    verb: { type: "string", multiple: true, default: Object.keys(KILLED_VERBS) },
    by: { type: "string", multiple: true, default: ["SIGKILL"] },
    seed: { type: "string", default: "1" },
  },
  allowPositionals: true,
});
let all_right = true;
for (const name of values.verb) {
  const folder = mkdtempSync(join(tmpdir(), `capstan-kills-${name}-`));
  const report = await killAtRandom(KILLED_VERBS[name as KilledVerbName], {
    count: Number(values.count),
    endings: values.by as Ending[],
    seed: Number(values.seed),
    folder,
    command: positionals,
    on_progress: (killed) => {
      if (killed % 5 === 0) process.stderr.write(`${name}: ${killed} of ${values.count}\n`);
    },
  });
  process.stdout.write(`${JSON.stringify({ verb: name, by: values.by, ...report })}\n`);
  all_right &&= report.wrong.length === 0;
  // What went wrong can be looked at.
  if (report.wrong.length === 0) rmSync(folder, { recursive: true });
}
process.exit(all_right ? 0 : 1);
