import { CapstanError, show } from "../../../models/index.ts";
import { basename, fileKind, has_system, packageFile, pageUrl, resolvePath } from "../../platform/index.ts";
import type { FileSource } from "../../types.ts";
import { type HubId, parseHubId } from "../hub/index.ts";
import { folderSource } from "./folder.ts";
import { placeOf } from "./place_of.ts";

/** Models that the package brings along, by name: folders under `models/`. */
export const EMBEDDED: readonly string[] = ["capstan-tiny"];

export interface ResolveOptions {
  signal?: AbortSignal | undefined;
  /** Bytes of a hub model's files that are here, and in all. */
  on_progress?: ((done: number, total: number) => void) | undefined;
}

/** A model's files and the short name it goes by. */
export interface ModelSource {
  /** `capstan-tiny`, or the folder's name or URL's last part; `model` for a source that was handed over. */
  id: string;
  files: FileSource;
}

/**
 * Finds a model's files: the name of an embedded model, the path of a folder, the URL of one, a model of the hub
 * (`owner/name`, `owner/name@revision`; a folder of that path goes first), or a file source as it is. A URL may be a
 * string or a URL object; one of `file:` is a folder. In a page, which has no folders, what begins with `/`, `./` or `../` is a URL from the page's own. A folder of
 * the embedded model's name in the current folder does not hide it; write `./capstan-tiny` for that.
 *
 * @throws CapstanError `not_found` when no folder is there and no hub model either, `network`, `access_denied`,
 *   `unsupported` for a URL that is not of HTTP,
 *   `bad_request` for anything else
 */
export async function resolveSource(
  given: string | URL | FileSource,
  options: ResolveOptions = {},
): Promise<ModelSource> {
  if (isFileSource(given)) return { id: "model", files: given };
  const source = given instanceof URL ? given.href : given;
  if (typeof source !== "string" || source === "") {
    throw new CapstanError("bad_request", {
      action: "load a model",
      need: "a model's name, a folder, a URL or a file source { size, read }",
      found: show(given),
    });
  }
  if (/^file:/i.test(source)) return await fromFolder(fileUrlPath(source), options);
  return await fromFolder(source, options);
}

async function fromFolder(source: string, options: ResolveOptions): Promise<ModelSource> {
  if (EMBEDDED.includes(source)) return { id: source, files: await embedded(source, options) };
  const url = asUrl(source);
  if (url !== null) return { id: lastPart(url), files: await atUrl(url.href, definedOf(options)) };
  const hub_id = source.includes("/") ? parseHubId(source) : undefined;
  if (hub_id !== undefined && !has_system) {
    const { hubUrl } = await import("../hub/pull.ts");
    return { id: hub_id.id, files: await atUrl(hubUrl(hub_id)) };
  }
  if ((await fileKind(source)) === "none") {
    if (hub_id === undefined) throw missing(source);
    return { id: hub_id.id, files: await folderSource(await fromHub(hub_id, source, options)) };
  }
  return { id: basename(resolvePath(source)), files: await folderSource(source) };
}

/**
 * The files of an embedded model. Code that came from a server may be a bundle, which has no model beside it: then they
 * are looked for where a page's own files are.
 */
async function embedded(name: string, options: ResolveOptions): Promise<FileSource> {
  const folder = `models/${name}`;
  const place = packageFile(folder);
  if (asUrl(place) === null) return await folderSource(place);
  const page = pageUrl();
  // A Worker made of a blob has an address that nothing is relative to.
  const near = [folder, `/${folder}`].filter((path) => page !== undefined && URL.canParse(path, page));
  const places = new Set([place, ...near.map((path) => new URL(path, page).href)]);
  for (const url of places) {
    const files = await atUrl(url, definedOf(options));
    if (await hasConfig(files)) return files;
  }
  throw new CapstanError("not_found", {
    action: `load ${show(name)}`,
    need: `its files at ${[...places].join(" or ")}`,
    found: "none there",
    fix: `Copy node_modules/capstan/${folder} to ${folder} among the files that the page is served with (Vite: public/${folder}), or load its URL.`,
  });
}

/** The files at a URL; what fetches them is read when it is first used. */
async function atUrl(url: string, options: { signal?: AbortSignal } = {}): Promise<FileSource> {
  const { urlSource } = await import("./url.ts");
  return urlSource(url, options);
}

/** Servers of pages often answer with a page whatever is asked for. */
async function hasConfig(files: FileSource): Promise<boolean> {
  const size = await files.size("config.json");
  if (size === undefined || size === 0) return false;
  return new TextDecoder().decode(await files.read("config.json", 0, 1)) === "{";
}

function definedOf({ signal }: { signal?: AbortSignal | undefined }): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

function isFileSource(source: unknown): source is FileSource {
  if (typeof source !== "object" || source === null) return false;
  const { size, read } = source as Partial<FileSource>;
  return typeof size === "function" && typeof read === "function";
}

/** The URL that a source names; null where it names none. */
function asUrl(source: string): URL | null {
  const base = /^\.{0,2}\//.test(source) ? pageUrl() : undefined;
  if (base !== undefined) return new URL(source, base);
  if (!/^[a-z][a-z0-9+.-]+:\/\//i.test(source)) return null;
  if (/^https?:/i.test(source) && URL.canParse(source)) return withoutPassword(new URL(source));
  throw new CapstanError("unsupported", {
    action: `load ${show(source)}`,
    need: WHAT_WORKS,
    found: "a URL that is not of HTTP",
    fix: "Download it first and give the folder.",
  });
}

/** fetch refuses a URL with a password in it, by an error that shows it. */
function withoutPassword(url: URL): URL {
  if (url.username === "" && url.password === "") return url;
  throw new CapstanError("bad_request", {
    action: `load ${placeOf(url.href)}`,
    need: "a URL without a user name and password in it",
    found: "one with them",
    fix: "Give a file source whose requests carry them as a header.",
  });
}

/** The path that a file: URL names. */
function fileUrlPath(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.hostname !== "" && url.hostname !== "localhost")) {
    throw new CapstanError("bad_request", {
      action: `load ${show(text)}`,
      need: "a file: URL of this machine",
      found: url === undefined ? "no URL" : `one of ${url.hostname}`,
    });
  }
  const path = decodeURIComponent(url.pathname);
  return /^\/[a-z]:/i.test(path) ? path.slice(1) : path;
}

function lastPart(url: URL): string {
  return url.pathname.split("/").findLast((part) => part !== "") ?? url.hostname;
}

const WHAT_WORKS = `a folder, a URL, a hub model (owner/name), a file source, or the embedded model "${EMBEDDED.join('" or "')}"`;

/** Nothing lies at the path: it may name a model of the hub. */
async function fromHub(hub_id: HubId, source: string, options: ResolveOptions): Promise<string> {
  const { on_progress } = options;
  const { hubFolder } = await import("../hub/pull.ts");
  try {
    return await hubFolder(hub_id, {
      ...definedOf(options),
      ...(on_progress === undefined ? {} : { on_progress: ({ done, total }) => on_progress(done, total) }),
    });
  } catch (error) {
    if (!(error instanceof CapstanError) || (error.code !== "not_found" && error.code !== "network"))
      throw error;
    const { need, found, fix } = error.parts;
    const parts = {
      action: `load ${show(source)}`,
      need: `such a folder, or ${need}`,
      found: `no folder, and ${found}`,
    };
    throw new CapstanError(error.code, fix === undefined ? parts : { ...parts, fix }, { cause: error });
  }
}

function missing(source: string): CapstanError {
  return new CapstanError("not_found", {
    action: `load ${show(source)}`,
    need: WHAT_WORKS,
    found: "no such folder",
    fix: "Is the path right?",
  });
}
