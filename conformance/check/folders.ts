import { CapstanError } from "../../models/index.ts";
import type { Io } from "../../sdk/cli/io.ts";
import { fileKind, joinPath, listFolder, packageFile, shortPath } from "../../sdk/platform/index.ts";

/**
 * The folders among what a verb was given: a shell's `*` gives files too; they are no cases. Given nothing: the cases
 * that came with the package, which are all of them in a checkout and a sample in what npm installs.
 *
 * @param action what the verb does, for the error
 * @throws CapstanError `bad_request` where there is none
 */
export async function caseFolders(io: Io, paths: readonly string[], action: string): Promise<string[]> {
  if (paths.length === 0) return await ownCases();
  const folders: string[] = [];
  for (const path of paths) {
    const kind = await fileKind(path);
    if (kind === "none") {
      throw new CapstanError("not_found", {
        action,
        need: `a folder with a case.json at ${path}`,
        found: "nothing there",
        fix: "`capstan conformance make --model FOLDER --out CASE` writes one.",
      });
    }
    if (kind === "file") io.progress.update(`${path}: a file, passed over`);
    else folders.push(path);
  }
  if (folders.length > 0) return folders;
  throw new CapstanError("bad_request", {
    action,
    need: "folders with a case.json",
    found: "files only",
    fix: "Without any, the cases that came with Capstan are taken.",
  });
}

async function ownCases(): Promise<string[]> {
  const reference = packageFile("conformance/reference");
  const found: string[] = [];
  for (const name of await listFolder(reference)) {
    const folder = joinPath(reference, name);
    if ((await fileKind(joinPath(folder, "case.json"))) === "file") found.push(shortPath(folder));
  }
  return found;
}

/** Runs one case; an error is printed with its folder, since the files of all cases have the same names. */
export async function inFolder<T>(io: Io, folder: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!io.signal.aborted) await io.note(`capstan: in ${folder}`);
    throw error;
  }
}
