import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";

/**
 * How often a `!` says that a value is there, outside tests. `models/certain.ts` has lookups that say what was sought where
 * they are mistaken; a loop over the numbers of a typed array may keep its `!`, for a call a number costs more than the
 * number. Lower the count here when it falls.
 */
const MOST = 210;

const root = join(import.meta.dirname, "..", "..");

interface Report {
  diagnostics: { location: { path: string } }[];
}

it(`non-null assertions outside tests stay at ${MOST} or fewer`, () => {
  const biome = join(root, "node_modules", ".bin", "biome");
  const args = ["lint", "--only=style/noNonNullAssertion", "--max-diagnostics=none", "--reporter=json", "."];
  const { stdout } = spawnSync(biome, args, { cwd: root, encoding: "utf8", maxBuffer: 2 ** 28 });
  const { diagnostics } = JSON.parse(stdout) as Report;
  // Tests have some, so a report without any is of nothing.
  expect(diagnostics.length).toBeGreaterThan(100);
  const paths = diagnostics.map(({ location }) => location.path).filter((path) => !path.endsWith(".test.ts"));
  expect(paths.length, paths.join("\n")).toBeLessThanOrEqual(MOST);
});
