import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root } from "./runtimes/runtimes.ts";

/** An empty project into which npm installed the packed tarball. */
export interface InstalledProject extends Disposable {
  folder: string;
  /** The files of the tarball, `package/` left out. */
  files: readonly string[];
  /** What npm wrote while packing. */
  pack_log: string;
}

/** Packages that the tarball's dependencies need, from the repository's own node_modules. */
const DEPENDENCIES = [
  "@asteasolutions/zod-to-openapi",
  "@cfworker/json-schema",
  "@hono/node-server",
  "@hono/zod-openapi",
  "@hono/zod-validator",
  "re2js",
  "commander",
  "is-any-array",
  "ml-array-max",
  "ml-array-min",
  "ml-array-rescale",
  "ml-matrix",
  "hono",
  "openapi3-ts",
  "yaml",
  "zod",
];
/** What npm would have installed beside them; those that a plot needs are large, and linked. */
const OPTIONAL = ["@resvg/resvg-js", "vega", "vega-lite"];

/**
 * Packs the repository and installs the tarball into an empty project, without a network: the packages it depends on
 * are packed out of node_modules and stand in for the registry's.
 *
 * @param linked further packages of the repository that the project is to find
 */
export function installPackage(linked: readonly string[] = []): InstalledProject {
  const scratch = mkdtempSync(join(tmpdir(), "capstan-installed-"));
  const folder = join(scratch, "project");
  mkdirSync(folder);
  const packed = npm(root, "pack", "--json", "--pack-destination", scratch);
  const [{ filename, files }] = JSON.parse(packed.stdout.slice(packed.stdout.indexOf("[\n"))) as [
    { filename: string; files: { path: string }[] },
  ];
  const sources = DEPENDENCIES.map((name) => join(root, "node_modules", name));
  npm(scratch, "pack", "--ignore-scripts", "--pack-destination", scratch, ...sources);
  const overrides = Object.fromEntries(DEPENDENCIES.map((name) => [name, `file:../${tarballOf(name)}`]));
  const project = {
    private: true,
    type: "module",
    dependencies: { capstan: `file:../${filename}` },
    overrides,
  };
  writeFileSync(join(folder, "package.json"), JSON.stringify(project));
  npm(folder, "install", "--offline", "--omit=optional", "--omit=peer", "--no-audit", "--no-fund");
  for (const name of [...OPTIONAL, ...linked]) {
    const link = join(folder, "node_modules", name);
    mkdirSync(dirname(link), { recursive: true });
    if (!existsSync(link)) symlinkSync(join(root, "node_modules", name), link);
  }
  return {
    folder,
    files: files.map(({ path }) => path),
    pack_log: packed.stderr,
    [Symbol.dispose]: () => rmSync(scratch, { recursive: true, force: true }),
  };
}

function tarballOf(name: string): string {
  const { version } = JSON.parse(readFileSync(join(root, "node_modules", name, "package.json"), "utf8"));
  return `${name.replace("@", "").replace("/", "-")}-${version}.tgz`;
}

function npm(cwd: string, ...args: string[]): { stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync("npm", args, { cwd, encoding: "utf8", maxBuffer: 2 ** 26 });
  if (status !== 0) throw new Error(`npm ${args[0]} failed: ${stderr}`);
  return { stdout, stderr };
}
