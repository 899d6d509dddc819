/**
 * Rebuilds the committed engine in pkg/ from its Rust sources: `node core-wasm/build.mjs`.
 * `--check` rebuilds into a scratch folder instead and fails when the result differs from what is committed.
 *
 * Needs rustup (rust-toolchain.toml says which compiler), `cargo install wasm-pack --locked` and
 * `cargo install wasm-bindgen-cli --version 0.2.130`.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DIGEST_FILE, sourceDigest } from "./digest.mjs";

const crate = fileURLToPath(new URL(".", import.meta.url));
const pkg = join(crate, "pkg");
const NAME = "capstan_core";
/** What is kept of wasm-pack's output: the engine, its glue and the types of its exports. */
const KEPT = [`${NAME}_bg.wasm`, `${NAME}_bg.wasm.d.ts`, `${NAME}.js`, `${NAME}.d.ts`];

/** The one place that chooses a build's compiler flags. */
function rustFlags() {
  const cargo_home = process.env.CARGO_HOME ?? join(homedir(), ".cargo");
  const [, commit] = /^commit-hash: (\w+)$/m.exec(ask("rustc", "-vV")) ?? [];
  return [
    "-Ctarget-feature=+simd128",
    // Panic messages name source files: so that every machine builds the same bytes, not by its own paths. The
    // standard library has a name of its own where its sources are not installed.
    `--remap-path-prefix=${ask("rustc", "--print", "sysroot").trim()}/lib/rustlib/src/rust=/rustc/${commit}`,
    `--remap-path-prefix=${cargo_home}=cargo`,
    `--remap-path-prefix=${crate.replace(/[\\/]$/, "")}=core-wasm`,
  ].join("\x1f");
}

function ask(...command) {
  const done = spawnSync(command[0], command.slice(1), { cwd: crate, encoding: "utf8" });
  if (done.status !== 0)
    throw new Error(`${command.join(" ")} failed: ${done.error?.message ?? done.stderr}`);
  return done.stdout;
}

function build(out) {
  const args = ["build", "--target", "web", "--mode", "no-install", "--no-opt", "--no-pack"];
  const done = spawnSync("wasm-pack", [...args, "--out-name", NAME, "--out-dir", out, crate], {
    stdio: "inherit",
    env: { ...process.env, CARGO_ENCODED_RUSTFLAGS: rustFlags() },
  });
  if (done.status !== 0) {
    throw new Error(`wasm-pack failed: ${done.error?.message ?? `exit ${done.status}`}`);
  }
}

const scratch = mkdtempSync(join(tmpdir(), "capstan-core-"));
try {
  build(scratch);
  if (process.argv.includes("--check")) {
    const differing = KEPT.filter(
      (name) => !readFileSync(join(scratch, name)).equals(readFileSync(join(pkg, name))),
    );
    if (differing.length > 0)
      throw new Error(`the rebuilt ${differing.join(", ")} differ from core-wasm/pkg`);
    console.log("core-wasm/pkg is what its sources build.");
  } else {
    for (const name of KEPT) writeFileSync(join(pkg, name), readFileSync(join(scratch, name)));
    writeFileSync(join(pkg, DIGEST_FILE), `${sourceDigest()}\n`);
    console.log(`core-wasm/pkg rebuilt: ${readFileSync(join(pkg, KEPT[0])).length} bytes of wasm.`);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
