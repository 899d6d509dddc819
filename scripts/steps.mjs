// The steps that take a fresh clone to a running program. Plain JavaScript: it runs before anything is built.
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");
const TREE = { recursive: true, force: true };
/** The folders of sources: what each may import beside itself, by name. */
const folders = Object.keys(JSON.parse(readFileSync(join(root, "scripts", "folders.json"), "utf8")));

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

/** Bundles the sources into dist/ when one of them is newer than the last build. Types are not looked at. */
export function build() {
  made("js", (folder) => {
    say("building dist/ (rolldown)");
    run(process.execPath, ["scripts/bundle.mjs", folder]);
  });
}

/** Writes the declarations of what the package exports into dist/types, when a source is newer. */
export function buildTypes() {
  made("types", (folder) => {
    say("building dist/types (tsc)");
    // tsc's notes of what it wrote are worth nothing without all of it.
    if (!existsSync(join(root, ".types", "conformance", "index.d.ts"))) rmSync(join(root, ".types"), TREE);
    run(process.execPath, [
      join(root, "node_modules", "typescript", "bin", "tsc"),
      "-p",
      "tsconfig.build.json",
    ]);
    run(process.execPath, ["scripts/types.mjs", folder]);
  });
}

/**
 * Makes a part of dist/ unless it is as new as the sources. It is made beside dist/ and put in place at the end: who reads
 * dist/ meanwhile finds all of it.
 */
function made(part, make) {
  const stamp = join(dist, `.${part}`);
  const isMade = () => existsSync(stamp) && Number(readFileSync(stamp, "utf8")) >= newestOf();
  if (isMade()) return;
  const free = lockBuild();
  try {
    if (isMade()) return;
    const newest = newestOf();
    const made = join(root, `.${part}-build`);
    rmSync(made, TREE);
    make(made);
    mkdirSync(dist, { recursive: true });
    for (const name of readdirSync(made)) {
      rmSync(join(dist, name), TREE);
      renameSync(join(made, name), join(dist, name));
    }
    rmSync(made, TREE);
    writeFileSync(stamp, String(newest));
  } finally {
    free();
  }
}

function newestOf() {
  const newest = [...folders, "scripts"].map((folder) => newestSource(join(root, folder)));
  return Math.max(...newest, ...["package.json", "tsconfig.build.json", "tsconfig.json"].map(timeOf));
}

function timeOf(file) {
  return statSync(join(root, file)).mtimeMs;
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

/** Runs a command to its end, its output on stderr; exits with its code when it fails. */
export function run(command, args, options = {}) {
  // Not imported: that takes longer than all the rest where there is nothing to do.
  const { spawnSync } = process.getBuiltinModule("node:child_process");
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

/** Folders without a source of dist/. */
const APART = new Set([
  "node_modules",
  "target",
  "reference",
  "real_model",
  "capstan-tiny",
  "peers",
  "fixtures",
]);

function newestSource(path) {
  if (!existsSync(path)) return 0;
  let newest = 0;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const child = `${path}/${entry.name}`;
    if (entry.isDirectory()) {
      if (!APART.has(entry.name)) newest = Math.max(newest, newestSource(child));
    } else if (/(?<!\.test)\.(ts|js|mjs|wasm|capnp|html|css|svg|webmanifest)$/.test(entry.name))
      newest = Math.max(newest, statSync(child).mtimeMs);
  }
  return newest;
}
