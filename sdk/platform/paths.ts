import { system } from "./system.ts";

/** Path arithmetic under the names the rest of the SDK uses; nothing here touches a disk. */

const paths = (file = "") => system("node:path", `use the path ${file}`);

export function joinPath(...parts: string[]): string {
  return paths(parts.at(-1)).join(...parts);
}

export function dirname(file: string): string {
  return paths(file).dirname(file);
}

export function basename(file: string): string {
  return paths(file).basename(file);
}

/** The absolute path, from the current folder. */
export function resolvePath(...parts: string[]): string {
  return paths(parts.at(-1)).resolve(...parts);
}

/** The path as it reads best from the current folder: relative when it lies below it. */
export function shortPath(file: string): string {
  const here = system("node:process", "find the current folder").cwd();
  const relative = paths(file).relative(here, file);
  return relative === "" ? "." : relative.startsWith("..") ? file : relative;
}
