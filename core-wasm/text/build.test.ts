import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { requires } from "../../conformance/testing/parts.ts";

const here = import.meta.dirname;
const required = requires("cargo");

const build = (flag: string) =>
  spawnSync(process.execPath, [`${here}/build.mjs`, flag], { encoding: "utf8" });

it("the committed tokenizer module was built from these sources", () => {
  const done = build("--digest");
  expect(done.status, done.stderr).toBe(0);
});

// Minutes of compiling, so only where it is asked for: a machine with Rust is not a machine with time.
if (!required)
  console.warn(
    "skipping the tokenizer module's rebuild and cargo test: set CAPSTAN_REQUIRE=cargo to run them",
  );

it.skipIf(!required)("a rebuild gives the committed bytes", { timeout: 1_800_000 }, () => {
  const done = build("--check");
  expect(done.status, done.stderr + done.stdout).toBe(0);
});

it.skipIf(!required)("the module's own tests pass", { timeout: 1_800_000 }, () => {
  const done = spawnSync("cargo", ["test", "--locked", "--workspace"], { cwd: here, encoding: "utf8" });
  expect(done.status, done.stderr + done.stdout).toBe(0);
});
