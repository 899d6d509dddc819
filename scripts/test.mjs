// `npm test`: set-up, types, lint, every vitest project. Arguments go to vitest (`npm test -- --project sdk`).
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, install, installDeno, root, run, say } from "./steps.mjs";

install();
installDeno();
const bin = (name) => join(root, "node_modules", ".bin", name);
const args = process.argv.slice(2);
if (args.length === 0) {
  say("checking types (tsc)");
  run(bin("tsc"), ["-p", "."]);
  run(bin("tsc"), ["-p", "edge-worker/page"]);
  say("checking style (biome)");
  run(bin("biome"), ["check", "."]);
}
build();

const scratch = mkdtempSync(join(tmpdir(), "capstan-test-"));
const report = join(scratch, "report.json");
const { status } = spawnSync(
  bin("vitest"),
  ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...args],
  { cwd: root, stdio: "inherit" },
);
const { numPassedTests, numFailedTests, numPendingTests, numFailedTestSuites, testResults } = JSON.parse(
  readFileSync(report, "utf8"),
);
rmSync(scratch, { recursive: true });
for (const file of testResults) {
  for (const test of file.assertionResults) {
    if (test.status === "pending" || test.status === "skipped") console.log(`skipped: ${test.fullName}`);
  }
}
const failed = numFailedTests + (numFailedTests === 0 && status !== 0 ? Math.max(1, numFailedTestSuites) : 0);
console.log(`${numPassedTests} passed, ${failed} failed, ${numPendingTests} skipped`);
process.exit(status ?? 1);
