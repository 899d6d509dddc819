import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { requires } from "../../testing/parts.ts";

const workspace = join(import.meta.dirname, "..");
const required = requires("cargo");

const build = (...args: string[]) =>
  spawnSync(process.execPath, [join(workspace, "build.mjs"), ...args], { encoding: "utf8" });

// Minutes of compiling, so only where it is asked for: a machine with Rust is not a machine with time.
if (!required)
  console.warn("skipping the rebuild of binaries and cargo test: set CAPSTAN_REQUIRE=cargo to run them");

describe.each(["engine", "text"])("%s", (module) => {
  it("is committed with a digest of these sources and of these files", () => {
    const done = build(module, "--digest");
    expect(done.status, done.stderr).toBe(0);
  });

  it.skipIf(!required)("is built again to the committed bytes", { timeout: 1_800_000 }, () => {
    const done = build(module, "--check");
    expect(done.status, done.stderr + done.stdout).toBe(0);
  });
});

it("what Rust shares with TypeScript is as models/ says", () => {
  const done = spawnSync(process.execPath, [join(workspace, "codes.mjs"), "--check"], { encoding: "utf8" });
  expect(done.status, done.stderr).toBe(0);
});

it.skipIf(!required)("the workspace's own tests pass", { timeout: 1_800_000 }, () => {
  const done = spawnSync("cargo", ["test", "--locked", "--workspace"], { cwd: workspace, encoding: "utf8" });
  expect(done.status, done.stderr + done.stdout).toBe(0);
});
