import { packageFile, readFile, readText } from "../../sdk/platform/index.ts";
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
    files ??= readText(packageFile("dist/page/files.json")).then(
      (text) => JSON.parse(text) as Record<string, string>,
      () => ({}),
    );
    const known = await files;
    if (!Object.hasOwn(known, path)) return null;
    const name = known[path]!;
    const ending = name.slice(name.lastIndexOf(".") + 1);
    const bytes = (await readFile(packageFile(name))) as Uint8Array<ArrayBuffer>;
    return { bytes, type: TYPES[ending] ?? "application/octet-stream" };
  };
}
