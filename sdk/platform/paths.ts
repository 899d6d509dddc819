import { system } from "./system.ts";

/** Path arithmetic under the names the rest of the SDK uses; nothing here touches a disk. */

export function joinPath(...parts: string[]): string {
  return paths().join(...parts);
}

export function dirname(file: string): string {
  return paths().dirname(file);
}

export function basename(file: string): string {
  return paths().basename(file);
}

/** The absolute path, from the current folder. */
export function resolvePath(...parts: string[]): string {
  return paths().resolve(...parts);
}

/** The path as it reads best from the current folder: relative when it lies below it. */
export function shortPath(file: string): string {
  const relative = paths().relative(system("node:process", "find the current folder").cwd(), file);
  return relative === "" ? "." : relative.startsWith("..") ? file : relative;
}

const paths = () => system("node:path", "join paths");
