/**
 * Rebuilds the committed tokenizer module in pkg/ from its Rust sources: `node core-wasm/text/build.mjs`.
 * `--check` rebuilds into a scratch folder instead and fails when the result differs from what is committed;
 * `--digest` only fails when the sources are not those that pkg/ was built from, and needs no Rust.
 *
 * Needs rustup (rust-toolchain.toml says which compiler) and nothing else: the module has no imports.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const crate = fileURLToPath(new URL(".", import.meta.url));
const committed = join(crate, "pkg", "capstan_text.wasm");
/** The digest of the sources that it was built from. */
const digest_file = join(crate, "pkg", "sources.sha256");
const TARGET = "wasm32-unknown-unknown";

/**
 * SHA-256 over everything that decides what the binary is: Rust sources, manifest, lock file, toolchain and this
 * script, each with its name, in sorted order. Line endings do not count.
 */
function sourceDigest() {
  const sources = ["src", "tables/src"].flatMap((folder) =>
    readdirSync(join(crate, folder), { recursive: true })
      .map((name) => `${folder}/${String(name).replaceAll("\\", "/")}`)
      .filter((name) => name.endsWith(".rs")),
  );
  const others = ["Cargo.toml", "tables/Cargo.toml", "Cargo.lock", "build.mjs", "../../rust-toolchain.toml"];
  const files = [...sources, ...others].sort();
  const hash = createHash("sha256");
  for (const name of files) {
    const text = readFileSync(join(crate, name), "utf8").replaceAll("\r\n", "\n");
    hash.update(`${name}\0${text}\0`);
  }
  return hash.digest("hex");
}

/** The one place that chooses the compiler's flags. */
function rustFlags() {
  const cargo_home = process.env.CARGO_HOME ?? join(homedir(), ".cargo");
  const [, commit] = /^commit-hash: (\w+)$/m.exec(ask("rustc", "-vV")) ?? [];
  return [
    "-Ctarget-feature=+simd128",
    // Random numbers come from src/random.rs: the crate's own way would import a function of JavaScript.
    '--cfg=getrandom_backend="custom"',
    // Panic messages name source files: so that every machine builds the same bytes, not by its own paths. The
    // standard library has a name of its own where its sources are not installed.
    `--remap-path-prefix=${ask("rustc", "--print", "sysroot").trim()}/lib/rustlib/src/rust=/rustc/${commit}`,
    `--remap-path-prefix=${cargo_home}=cargo`,
    `--remap-path-prefix=${crate.replace(/[\\/]$/, "")}=core-wasm/text`,
  ].join("\x1f");
}

function ask(...command) {
  const done = spawnSync(command[0], command.slice(1), { cwd: crate, encoding: "utf8" });
  if (done.status !== 0)
    throw new Error(`${command.join(" ")} failed: ${done.error?.message ?? done.stderr}`);
  return done.stdout;
}

/** Builds into `folder`, else into the crate's own target folder, and gives the binary. */
function build(folder = join(crate, "target")) {
  const args = ["build", "--release", "--locked", "--target", TARGET, "--target-dir", folder];
  const done = spawnSync("cargo", args, {
    cwd: crate,
    stdio: "inherit",
    env: { ...process.env, CARGO_ENCODED_RUSTFLAGS: rustFlags() },
  });
  if (done.status !== 0) throw new Error(`cargo failed: ${done.error?.message ?? `exit ${done.status}`}`);
  return readFileSync(join(folder, TARGET, "release", "capstan_text.wasm"));
}

if (process.argv.includes("--digest")) {
  if (readFileSync(digest_file, "utf8").trim() !== sourceDigest()) {
    throw new Error(
      "core-wasm/text/pkg is of other sources: run node core-wasm/text/build.mjs and commit core-wasm/text/pkg",
    );
  }
} else if (process.argv.includes("--check")) {
  const scratch = mkdtempSync(join(tmpdir(), "capstan-text-"));
  try {
    if (!build(scratch).equals(readFileSync(committed)))
      throw new Error("the rebuilt module differs from core-wasm/text/pkg");
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
} else {
  const built = build();
  mkdirSync(join(crate, "pkg"), { recursive: true });
  writeFileSync(committed, built);
  writeFileSync(digest_file, `${sourceDigest()}\n`);
  console.log(`core-wasm/text/pkg rebuilt: ${built.length} bytes of wasm.`);
}
