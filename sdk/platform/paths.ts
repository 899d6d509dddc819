import * as path from "node:path";
import process from "node:process";

/** Path arithmetic under the names the rest of the SDK uses; nothing here touches a disk. */

export function joinPath(...parts: string[]): string {
  return path.join(...parts);
}

export function dirname(file: string): string {
  return path.dirname(file);
}

export function basename(file: string): string {
  return path.basename(file);
}

/** The absolute path, from the current folder. */
export function resolvePath(...parts: string[]): string {
  return path.resolve(...parts);
}

/** The path as it reads best from the current folder: relative when it lies below it. */
export function shortPath(file: string): string {
  const relative = path.relative(process.cwd(), file);
  return relative === "" ? "." : relative.startsWith("..") ? file : relative;
}
