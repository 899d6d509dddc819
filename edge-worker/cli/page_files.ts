import { CapstanError } from "../../models/index.ts";
import { packageFile, readFile, readText, resolvePath, writeFileAtomic } from "../../sdk/platform/index.ts";
import type { FindPageFile } from "../routes/page.ts";

/** Types of the page's files, by the ending of their names. */
const TYPES: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  json: "application/json",
  jsonl: "application/jsonl",
  svg: "image/svg+xml",
  wasm: "application/wasm",
  webmanifest: "application/manifest+json",
};

/** The page as it is built into the package, read from disk when it is asked for; none where it has not been built. */
export function pageFiles(): FindPageFile {
  let files: Promise<Record<string, string>> | undefined;
  return async (path) => {
    files ??= builtFiles().catch(() => ({}));
    const known = await files;
    if (!Object.hasOwn(known, path)) return null;
    const name = known[path]!;
    const ending = name.slice(name.lastIndexOf(".") + 1);
    return { bytes: await readFile(packageFile(name)), type: TYPES[ending] ?? "application/octet-stream" };
  };
}

/** The page's files in the package by their path on a server. */
async function builtFiles(): Promise<Record<string, string>> {
  return JSON.parse(await readText(packageFile("dist/page/files.json"))) as Record<string, string>;
}

/**
 * Writes the page as a folder for any static server: there it runs its model itself.
 *
 * @returns the files' paths in the folder
 * @throws CapstanError `not_found` where it has not been built; `bad_file`
 */
export async function writePage(folder: string): Promise<string[]> {
  const files = await builtFiles().catch((cause: unknown) => {
    const parts = {
      action: "write the page",
      need: "it to be built",
      found: "no dist/page",
      fix: "npm run build",
    };
    throw new CapstanError("not_found", parts, { cause });
  });
  const paths = Object.entries(files).map(
    ([path, name]) => [path === "/" ? "index.html" : path.slice(1), name] as const,
  );
  for (const [path, name] of paths)
    await writeFileAtomic(resolvePath(folder, path), await readFile(packageFile(name)));
  return paths.map(([path]) => path);
}
