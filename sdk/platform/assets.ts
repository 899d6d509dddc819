import { streams_wasm } from "../../core-wasm/webassembly.ts";
import { lastOf } from "../../models/certain.ts";
import { CapstanError } from "../../models/index.ts";
import { asFileError, readFile, readText } from "./files.ts";
import { dirname, joinPath } from "./paths.ts";
import { system } from "./system.ts";

/**
 * Where the package's own files lie. The code runs from two places: as source (`sdk/platform/assets.ts` under
 * the repository) and as built for npm (a file of `dist/js/` under the package). It comes from a disk, or from a server:
 * then the package's files are where the server has them, two folders above the code in both.
 */

let root: string | undefined;

/** The folder of Capstan's package.json: a path, or a URL where the code came from a server. */
function packageRoot(): string {
  const url = codeUrl();
  root ??= isOnDisk(url) ? findRoot(dirname(pathOf(new URL(url)))) : new URL("../../", url).href;
  return root;
}

/** Where this file came from; modules of workerd came from nowhere. */
export function codeUrl(): string {
  const { url } = import.meta as { url?: string };
  if (url !== undefined) return url;
  throw new CapstanError("unsupported", {
    action: "find Capstan's own files",
    need: "a runtime whose modules have a URL",
    found: "one that has not",
    fix: "Load a model from a URL or a file source.",
  });
}

function findRoot(start: string): string {
  const { existsSync, readFileSync } = system("node:fs", "find Capstan's own files");
  for (let folder = start; ; folder = dirname(folder)) {
    const file = joinPath(folder, "package.json");
    try {
      if (existsSync(file) && JSON.parse(readFileSync(file, "utf8")).name === "capstan") return folder;
    } catch (error) {
      throw asFileError("read", file, error);
    }
    if (dirname(folder) === folder) {
      throw new CapstanError("not_found", {
        action: "find Capstan's own files",
        need: "its package.json in a folder above the code",
        found: `none above ${start}`,
        fix: "The code may have been bundled; load a model from a folder or a file source.",
      });
    }
  }
}

/** Path (or URL) of a file or folder that the package ships beside its code: `packageFile("models/capstan-tiny")`. */
export function packageFile(name: string): string {
  return isOnDisk(codeUrl()) ? joinPath(packageRoot(), name) : `${packageRoot()}${name}`;
}

/** The URL of what `import "capstan"` loads: the source where this is a source, else the package's. */
export function packageEntry(): string {
  const name = codeUrl().endsWith(".ts") ? "sdk/index.ts" : "dist/js/index.js";
  return new URL(name, new URL("../../", codeUrl())).href;
}

/**
 * A module of WebAssembly that goes with the code, from disk or from where the code came: its bytes, or the response that
 * brings them where they may be compiled as they come.
 *
 * @throws CapstanError `not_found`, which names the file of the package to put there
 */
export async function readWasm(url: URL): Promise<Uint8Array | Response> {
  if (isOnDisk(url.href)) return await readFile(pathOf(url));
  const response = await fetchAsset(url);
  const streams = streams_wasm && typeOf(response) === "application/wasm";
  return streams ? response : new Uint8Array(await response.arrayBuffer());
}

async function fetchAsset(url: URL): Promise<Response> {
  const response = await fetch(url);
  if (response.ok && typeOf(response) !== "text/html") return response;
  const name = lastOf(url.pathname.split("/"));
  throw new CapstanError("not_found", {
    action: `fetch ${url.href}`,
    need: "the binary that goes with Capstan's code",
    found: response.ok ? "a page" : `status ${response.status}`,
    fix: `A bundler that knows new URL(..., import.meta.url) puts it there; for others copy ${name} out of node_modules/capstan/dist there.`,
  });
}

/** Of `text/html` where the server answers with a page whatever is asked for, as many do. */
function typeOf(response: Response): string | undefined {
  return response.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
}

/** The package's version, as package.json says it. */
export async function packageVersion(): Promise<string> {
  const place = packageFile("package.json");
  const text = isOnDisk(codeUrl()) ? await readText(place) : await (await fetchAsset(new URL(place))).text();
  return String(JSON.parse(text).version);
}

export function isOnDisk(url: string): boolean {
  return url.startsWith("file:");
}

function pathOf(url: URL): string {
  return system("node:url", `find ${url.href}`).fileURLToPath(url);
}
