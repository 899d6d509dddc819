/**
 * Rebuilds the committed engine in pkg/ from its Rust sources: `node core-wasm/build.mjs`.
 * `--check` rebuilds into a scratch folder instead and fails when the result differs from what is committed;
 * `--digest` only fails when the sources are not those that pkg/ was built from, and needs no Rust.
 *
 * Needs rustup (rust-toolchain.toml says which compiler), `cargo install wasm-pack --locked` and
 * `cargo install wasm-bindgen-cli --version 0.2.130`.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const crate = fileURLToPath(new URL(".", import.meta.url));
const pkg = join(crate, "pkg");
const NAME = "capstan_core";
/** What is kept of wasm-pack's output: the engine, its glue and the types of its exports. */
const KEPT = [`${NAME}_bg.wasm`, `${NAME}_bg.wasm.d.ts`, `${NAME}.js`, `${NAME}.d.ts`];

/** In pkg/: the digest of the sources that it was built from. */
const DIGEST_FILE = join(pkg, "sources.sha256");

/**
 * SHA-256 over everything that decides what the engine's binary is: Rust sources, manifest, lock file, toolchain
 * and this script, each with its name, in sorted order. Line endings do not count.
 */
function sourceDigest() {
  const sources = readdirSync(join(crate, "src"), { recursive: true })
    .map((name) => `src/${String(name).replaceAll("\\", "/")}`)
    .filter((name) => name.endsWith(".rs"));
  const files = [...sources, "Cargo.toml", "Cargo.lock", "build.mjs", "../rust-toolchain.toml"].sort();
  const hash = createHash("sha256");
  for (const name of files) {
    const text = readFileSync(join(crate, name), "utf8").replaceAll("\r\n", "\n");
    hash.update(`${name}\0${text}\0`);
  }
  return hash.digest("hex");
}

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

/** Builds into a scratch folder and hands it to `use`. */
function withBuild(use) {
  const scratch = mkdtempSync(join(tmpdir(), "capstan-core-"));
  try {
    build(scratch);
    use((name) => readFileSync(join(scratch, name)));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (process.argv.includes("--digest")) {
  if (readFileSync(DIGEST_FILE, "utf8").trim() !== sourceDigest()) {
    throw new Error(
      "core-wasm/pkg is of other sources: run node core-wasm/build.mjs and commit core-wasm/pkg",
    );
  }
} else if (process.argv.includes("--check")) {
  withBuild((built) => {
    const differing = KEPT.filter((name) => !built(name).equals(readFileSync(join(pkg, name))));
    if (differing.length > 0)
      throw new Error(`the rebuilt ${differing.join(", ")} differ from core-wasm/pkg`);
  });
} else {
  withBuild((built) => {
    mkdirSync(pkg, { recursive: true });
    for (const name of KEPT) writeFileSync(join(pkg, name), built(name));
    writeFileSync(DIGEST_FILE, `${sourceDigest()}\n`);
    console.log(`core-wasm/pkg rebuilt: ${built(KEPT[0]).length} bytes of wasm.`);
  });
}
