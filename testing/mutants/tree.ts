import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

export const root: string = join(import.meta.dirname, "..", "..");

/** Folders that hold nothing that tests read as sources. */
const LEFT_OUT = ["node_modules", "dist", ".types", "target", ".git", ".venv", ".models"];
/** npm packages, linked into a copy. */
const PACKAGES = ["node_modules", "testing/deno/node_modules", "testing/bun/node_modules"];

/** The files of this repository (git's, and new ones that it does not ignore; all files where there is no git), and its packages. */
export function filesOf(): { files: string[]; packages: string[] } {
  const { status, stdout } = spawnSync("git", ["ls-files", "-co", "--exclude-standard", "-z"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  const files = status === 0 ? stdout.split("\0").filter((name) => name !== "") : walk("");
  return {
    files: files.filter((name) => existsSync(join(root, name))),
    packages: PACKAGES.filter((name) => existsSync(join(root, name))),
  };
}

function walk(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (LEFT_OUT.includes(entry.name)) return [];
    if (entry.isDirectory()) return walk(path);
    return entry.isFile() ? [path] : [];
  });
}
