import { CapstanError } from "../../models/index.ts";
import type { Io } from "../../sdk/cli/io.ts";
import { fileKind } from "../../sdk/platform/index.ts";

/**
 * The folders among what a verb was given: a shell's `*` gives files too; they are no cases.
 *
 * @param action what the verb does, for the error
 * @throws CapstanError `bad_request` where there is none
 */
export async function caseFolders(io: Io, paths: readonly string[], action: string): Promise<string[]> {
  const folders: string[] = [];
  for (const path of paths) {
    const kind = await fileKind(path);
    if (kind === "none") {
      throw new CapstanError("not_found", {
        action,
        need: `a folder with a case.json at ${path}`,
        found: "nothing there",
        mend: "`capstan conformance make --model FOLDER --out CASE` writes one.",
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
    mend: "Try: capstan conformance conformance/reference/*",
  });
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
