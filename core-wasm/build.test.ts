import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { DIGEST_FILE, sourceDigest } from "./digest.mjs";

const here = import.meta.dirname;
const required = (process.env.CAPSTAN_REQUIRE ?? "")
  .split(",")
  .some((part) => ["cargo", "all"].includes(part));

it("the committed engine was built from these sources", () => {
  const committed = readFileSync(`${here}/pkg/${DIGEST_FILE}`, "utf8").trim();
  expect(committed, "sources changed: run node core-wasm/build.mjs and commit core-wasm/pkg").toBe(
    sourceDigest(),
  );
});

// Minutes of compiling, so only where it is asked for: a machine with Rust is not a machine with time.
if (!required)
  console.warn("skipping the engine's rebuild and cargo test: set CAPSTAN_REQUIRE=cargo to run them");

it.skipIf(!required)("a rebuild gives the committed bytes", { timeout: 1_800_000 }, () => {
  const done = spawnSync(process.execPath, [`${here}/build.mjs`, "--check"], { encoding: "utf8" });
  expect(done.status, done.stderr + done.stdout).toBe(0);
});

it.skipIf(!required)("the engine's own tests pass", { timeout: 1_800_000 }, () => {
  const done = spawnSync("cargo", ["test", "--locked"], { cwd: here, encoding: "utf8" });
  expect(done.status, done.stderr + done.stdout).toBe(0);
});
