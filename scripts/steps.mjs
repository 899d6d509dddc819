// The steps that take a fresh clone to a running program. Plain JavaScript: it runs before anything is built.
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const built = join(root, "dist", ".built");
const folders = [
  "models",
  "core-wasm",
  "gpu",
  "sdk",
  "edge-worker",
  "conformance",
  "bench",
  "testing",
  "bin",
];

/** Installs the npm packages of the lock file when they are missing or older than it. */
export function install() {
  // A linked folder is somebody else's, and npm ci would empty it.
  if (lstatSync(join(root, "node_modules"), { throwIfNoEntry: false })?.isSymbolicLink()) return;
  const stamp = join(root, "node_modules", ".package-lock.json");
  if (existsSync(stamp) && statSync(stamp).mtimeMs >= statSync(join(root, "package-lock.json")).mtimeMs)
    return;
  say("installing packages (npm ci)");
  run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
}

/**
 * Deno for the tests: its npm package has a folder of its own. In the root's node_modules/.bin it would stand in the
 * way of `deno task`, which takes every command there for JavaScript.
 */
export const deno = join(root, "testing", "deno", "node_modules", ".bin", "deno");

/** Installs the Deno of the tests where it is missing. */
export function installDeno() {
  if (existsSync(deno)) return;
  say("installing Deno for the tests (npm ci)");
  const folder = join("testing", "deno");
  run("npm", ["ci", "--prefix", folder, "--no-audit", "--no-fund", "--loglevel=error"]);
}

/** Compiles the TypeScript to dist/ when a source is newer than the last build. */
export function build() {
  if (isBuilt()) return;
  const free = lockBuild();
  try {
    if (!isBuilt()) rebuild();
  } finally {
    free();
  }
}

function isBuilt() {
  return existsSync(built) && Number(readFileSync(built, "utf8")) >= newestOf();
}

function newestOf() {
  const newest = [...folders, "scripts"].map(newestSource);
  return Math.max(...newest, statSync(join(root, "package.json")).mtimeMs);
}

/** Two test files that both want dist/ must not build it over each other: the second waits for the first. */
function lockBuild() {
  const lock = join(root, ".build-lock");
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: "wx" });
      const remove = () => rmSync(lock, { force: true });
      process.once("exit", remove);
      return () => {
        remove();
        // By the end of this process the lock may be another's.
        process.off("exit", remove);
      };
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    const holder = holderOf(lock);
    if (holder === "gone") rmSync(lock, { force: true });
    else if (holder === "runs") Atomics.wait(sleeper, 0, 0, 100);
  }
}

/** What became of the process that made the lock; null where the lock itself is no more. */
function holderOf(lock) {
  let pid;
  try {
    pid = Number(readFileSync(lock, "utf8"));
  } catch {
    return null;
  }
  // One that has just made its lock has not written its number yet.
  if (pid === 0) return "runs";
  try {
    process.kill(pid, 0);
    return "runs";
  } catch (error) {
    return error.code === "EPERM" ? "runs" : "gone";
  }
}

function rebuild() {
  const newest = newestOf();
  say("building dist/ (tsc)");
  rmSync(join(root, "dist"), { recursive: true, force: true });
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  run(process.execPath, [tsc, "-p", "tsconfig.build.json"]);
  nameLibs(join(root, "dist"));
  nameWorkers(join(root, "dist", "sdk", "platform", "worker.js"));
  for (const pkg of [join("core-wasm", "pkg"), join("core-wasm", "text", "pkg")]) {
    if (existsSync(join(root, pkg))) cpSync(join(root, pkg), join(root, "dist", pkg), { recursive: true });
  }
  const rolldown = join(root, "node_modules", "rolldown", "bin", "cli.mjs");
  run(process.execPath, [rolldown, "--config", "scripts/bundles.config.mjs"], {
    stdio: ["ignore", "ignore", 2],
  });
  const hosts = join("conformance", "hosts");
  cpSync(join(root, hosts, "workerd.capnp"), join(root, "dist", hosts, "bundle", "workerd.capnp"));
  writeFileSync(built, String(newest));
}

/**
 * Types of `await using` are in no lib that a consumer has by default, so the declarations name it. In the sources JSR
 * would refuse such a line.
 */
function nameLibs(folder) {
  for (const name of readdirSync(folder, { recursive: true })) {
    if (!name.endsWith(".d.ts")) continue;
    const text = readFileSync(join(folder, name), "utf8");
    if (!/\b(AsyncDisposable|Disposable|Symbol\.(asyncDispose|dispose))\b/.test(text)) continue;
    writeFileSync(join(folder, name), `/// <reference lib="esnext.disposable" />\n${text}`);
  }
}

/** The compiler turns the endings of imports into .js, and not that of a worker's script. */
function nameWorkers(file) {
  const text = readFileSync(file, "utf8");
  const named = text.replaceAll(/(new Worker\(new URL\("[^"]+)\.ts"/g, '$1.js"');
  if (named === text) throw new Error(`${file} starts no worker`);
  writeFileSync(file, named);
}

/** Runs a command to its end, its output on stderr; exits with its code when it fails. */
export function run(command, args, options = {}) {
  const { status, error, signal } = spawnSync(command, args, {
    cwd: root,
    stdio: ["inherit", 2, 2],
    ...options,
  });
  if (error) throw error;
  if (signal) process.kill(process.pid, signal);
  if (status !== 0) {
    say(`${command} ${args.slice(0, 3).join(" ")} failed with exit code ${status}`);
    process.exit(status ?? 1);
  }
}

export function say(text) {
  process.stderr.write(`capstan: ${text}\n`);
}

function newestSource(folder) {
  const path = join(root, folder);
  if (!existsSync(path)) return 0;
  let newest = 0;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (["node_modules", "target", "reference", "capstan-tiny", "peers"].includes(entry.name)) continue;
    const child = join(folder, entry.name);
    if (entry.isDirectory()) newest = Math.max(newest, newestSource(child));
    else if (/\.(ts|js|mjs|wasm|capnp)$/.test(entry.name))
      newest = Math.max(newest, statSync(join(root, child)).mtimeMs);
  }
  return newest;
}
