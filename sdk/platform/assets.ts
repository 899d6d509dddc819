import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { CapstanError } from "../../models/index.ts";
import { readFile } from "./files.ts";
import { dirname, joinPath } from "./paths.ts";

/**
 * Where the package's own files lie. The code runs from two places: as source (`sdk/platform/assets.ts` under
 * the repository) and as built for npm (`dist/sdk/platform/assets.js` under the package).
 */

let root: string | undefined;

/** The folder of Capstan's package.json. */
export function packageRoot(): string {
  root ??= findRoot(dirname(fileURLToPath(import.meta.url)));
  return root;
}

function findRoot(start: string): string {
  for (let folder = start; ; folder = dirname(folder)) {
    const file = joinPath(folder, "package.json");
    if (existsSync(file) && JSON.parse(readFileSync(file, "utf8")).name === "capstan") return folder;
    if (dirname(folder) === folder) {
      throw new CapstanError("not_found", {
        action: "find Capstan's own files",
        need: "its package.json in a folder above the code",
        found: `none above ${start}`,
        mend: "The code may have been bundled; load a model from a folder or a file source.",
      });
    }
  }
}

/** Path of a file or folder that the package ships beside its code: `packageFile("models/capstan-tiny")`. */
export function packageFile(name: string): string {
  return joinPath(packageRoot(), name);
}

/**
 * Path of a file that stands beside the code, in source and in `dist/` alike:
 * `codeFile("core-wasm/pkg/capstan_bg.wasm")`.
 */
export function codeFile(name: string): string {
  return fileURLToPath(new URL(`../../${name}`, import.meta.url));
}

/** Bytes of such a file. Throws `not_found` when the installation lacks it. */
export async function codeBytes(name: string): Promise<Uint8Array> {
  return await readFile(codeFile(name));
}

/** The package's version, as package.json says it. */
export function packageVersion(): string {
  return String(JSON.parse(readFileSync(packageFile("package.json"), "utf8")).version);
}
