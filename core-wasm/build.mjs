/**
 * Rebuilds the committed binaries from their Rust sources, and writes their digests into builds/table.ts:
 * `node core-wasm/build.mjs`, or with `engine` or `text` for one module alone.
 * `--check` rebuilds beside them and fails when the result differs from what is committed; `--digest` only fails when a
 * binary and the sources are not those that its digest was made of, and needs no Rust.
 *
 * Needs rustup (rust-toolchain.toml says which compiler), `cargo install wasm-pack --locked` and
 * `cargo install wasm-bindgen-cli --version 0.2.130`; for `text` alone, rustup.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";
import { writeCodes } from "./codes.mjs";

const workspace = fileURLToPath(new URL(".", import.meta.url));
const TARGET = "wasm32-unknown-unknown";
const TABLE = join(workspace, "builds", "table.ts");
const table = await readTable();

/** What is in the folder of each module, and how a build of it is made in a folder. */
const MODULES = {
  engine: {
    builds: table.ENGINE_BUILDS,
    sources: ["engine/src"],
    manifests: ["engine/Cargo.toml"],
    flags: [],
    make: wasmPack,
  },
  text: {
    builds: table.TEXT_BUILDS,
    sources: ["text/src", "text/tables/src"],
    manifests: ["text/Cargo.toml", "text/tables/Cargo.toml"],
    // Random numbers come from src/random.rs: the crate's own way would import a function of JavaScript.
    flags: ['--cfg=getrandom_backend="custom"'],
    make: cargo,
  },
};

/** What a feature of builds/features.ts is to the compiler. */
const FEATURE_FLAGS = { simd: ["-Ctarget-feature=+simd128"] };

/** The table's own module, run: Node 20 reads no TypeScript. */
async function readTable() {
  const { outputText } = ts.transpileModule(readFileSync(TABLE, "utf8"), {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  });
  const code = outputText.replaceAll("import.meta.url", JSON.stringify(pathToFileURL(TABLE).href));
  return await import(`data:text/javascript,${encodeURIComponent(code)}`);
}

/** The one place that chooses a build's compiler flags. */
function rustFlags(module, build) {
  const cargo_home = process.env.CARGO_HOME ?? join(homedir(), ".cargo");
  const [, commit] = /^commit-hash: (\w+)$/m.exec(ask("rustc", "-vV")) ?? [];
  return [
    ...build.features.flatMap((feature) => FEATURE_FLAGS[feature]),
    ...module.flags,
    // Panic messages name source files: so that every machine builds the same bytes, not by its own paths. The
    // standard library has a name of its own where its sources are not installed.
    `--remap-path-prefix=${ask("rustc", "--print", "sysroot").trim()}/lib/rustlib/src/rust=/rustc/${commit}`,
    `--remap-path-prefix=${cargo_home}=cargo`,
    `--remap-path-prefix=${workspace.replace(/[\\/]$/, "")}=core-wasm`,
  ].join("\x1f");
}

function ask(...command) {
  const done = spawnSync(command[0], command.slice(1), { cwd: workspace, encoding: "utf8" });
  if (done.status !== 0)
    throw new Error(`${command.join(" ")} failed: ${done.error?.message ?? done.stderr}`);
  return done.stdout;
}

function run(command, args, flags) {
  const done = spawnSync(command, args, {
    cwd: workspace,
    stdio: "inherit",
    env: { ...process.env, CARGO_ENCODED_RUSTFLAGS: flags },
  });
  if (done.status !== 0)
    throw new Error(`${command} failed: ${done.error?.message ?? `exit ${done.status}`}`);
}

/** The engine is a package of wasm-pack: the binary, its glue and the types of its exports. */
function wasmPack(out, build, flags) {
  const name = basename(fileURLToPath(build.url()), "_bg.wasm");
  const args = ["build", "--target", "web", "--mode", "no-install", "--no-opt", "--no-pack"];
  run("wasm-pack", [...args, "--out-name", name, "--out-dir", out, join(workspace, "engine")], flags);
}

/** The tokenizers' module has no imports, and no glue. */
function cargo(out, build, flags) {
  const args = ["build", "--package", "capstan-text", "--profile", "text", "--locked", "--target", TARGET];
  run("cargo", [...args, "--target-dir", join(workspace, "target")], flags);
  const name = basename(fileURLToPath(build.url()));
  copyFileSync(join(workspace, "target", TARGET, "text", name), join(out, name));
}

/** What is kept of a build beside its binary `NAME_bg.wasm`, where wasm-pack made it. */
function filesOf(build) {
  const file = basename(fileURLToPath(build.url()));
  const name = basename(file, "_bg.wasm");
  return name === file ? [file] : [file, `${file}.d.ts`, `${name}.js`, `${name}.d.ts`];
}

/**
 * SHA-256 over everything that decides what a build is (Rust sources, manifests, lock file, toolchain, this script,
 * its features; each with its name, in sorted order) and over the files made of it. Line endings do not count.
 */
function digestOf(module, build, files) {
  const sources = module.sources.flatMap((folder) =>
    readdirSync(join(workspace, folder), { recursive: true })
      .map((name) => `${folder}/${String(name).replaceAll("\\", "/")}`)
      .filter((name) => name.endsWith(".rs")),
  );
  const others = ["Cargo.toml", "Cargo.lock", "build.mjs", "../rust-toolchain.toml"];
  const hash = createHash("sha256").update(`${build.features.join()}\0`);
  for (const name of [...sources, ...module.manifests, ...others].sort()) {
    const text = readFileSync(join(workspace, name), "utf8").replaceAll("\r\n", "\n");
    hash.update(`${name}\0${text}\0`);
  }
  for (const name of filesOf(build)) {
    const bytes = files(name);
    hash.update(`${name}\0`).update(name.endsWith(".wasm") ? bytes : String(bytes).replaceAll("\r\n", "\n"));
  }
  return hash.digest("hex");
}

/** Makes a build in a scratch folder and hands its files to `use`. */
function withBuild(module, build, use) {
  const scratch = mkdtempSync(join(tmpdir(), "capstan-build-"));
  try {
    module.make(scratch, build, rustFlags(module, build));
    use((name) => readFileSync(join(scratch, name)));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function committedIn(folder) {
  return (name) => readFileSync(join(folder, name));
}

function checkDigest(name, module, build) {
  const folder = dirname(fileURLToPath(build.url()));
  if (digestOf(module, build, committedIn(folder)) === build.digest) return;
  throw new Error(
    `${folder} and its sources are not those of its digest: run node core-wasm/build.mjs ${name} and commit both`,
  );
}

function checkRebuild(_name, module, build) {
  const committed = committedIn(dirname(fileURLToPath(build.url())));
  withBuild(module, build, (built) => {
    const differing = filesOf(build).filter((name) => !built(name).equals(committed(name)));
    if (differing.length > 0)
      throw new Error(`the rebuilt ${differing.join(", ")} differ from what is committed`);
  });
}

function rebuild(name, module, build) {
  const folder = dirname(fileURLToPath(build.url()));
  withBuild(module, build, (built) => {
    mkdirSync(folder, { recursive: true });
    for (const file of filesOf(build)) writeFileSync(join(folder, file), built(file));
    const digest = digestOf(module, build, built);
    writeFileSync(TABLE, readFileSync(TABLE, "utf8").replace(build.digest, digest));
    console.log(`${name}, ${build.name}: rebuilt, ${built(filesOf(build)[0]).length} bytes of wasm.`);
  });
}

const work = process.argv.includes("--digest")
  ? checkDigest
  : process.argv.includes("--check")
    ? checkRebuild
    : rebuild;
if (work === rebuild) await writeCodes();
const named = Object.keys(MODULES).filter((name) => process.argv.includes(name));
for (const name of named.length > 0 ? named : Object.keys(MODULES))
  for (const build of MODULES[name].builds) work(name, MODULES[name], build);
