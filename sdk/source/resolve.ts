import { CapstanError, show } from "../../models/index.ts";
import { basename, fileKind, packageFile, resolvePath } from "../platform/index.ts";
import type { FileSource } from "../types.ts";
import { folderSource } from "./folder.ts";
import { urlSource } from "./url.ts";

/** Models that the package brings along, by name: folders under `models/`. */
const EMBEDDED = ["capstan-tiny"];

/** A model's files and the short name it goes by. */
export interface ModelSource {
  /** `capstan-tiny`, or the folder's name; `model` for a source that was handed over. */
  id: string;
  files: FileSource;
}

/**
 * Finds a model's files: the name of an embedded model, the path of a folder, the URL of one, or a file source as it
 * is. A folder of the embedded model's name in the current folder does not hide it; write `./capstan-tiny` for that.
 *
 * @throws CapstanError `not_found` when no folder is there, `unsupported` for other URLs, `bad_request` for anything
 *   else
 */
export async function resolveSource(
  source: string | FileSource,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<ModelSource> {
  if (isFileSource(source)) return { id: "model", files: source };
  if (typeof source !== "string" || source === "") {
    throw new CapstanError("bad_request", {
      action: "load a model",
      need: "a model's name, a folder, a URL or a file source { size, read }",
      found: show(source),
    });
  }
  if (EMBEDDED.includes(source)) {
    return { id: source, files: await folderSource(packageFile(`models/${source}`)) };
  }
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(source)) return fromUrl(source, options.signal);
  if ((await fileKind(source)) === "none") throw missing(source);
  return { id: basename(resolvePath(source)), files: await folderSource(source) };
}

function isFileSource(source: unknown): source is FileSource {
  if (typeof source !== "object" || source === null) return false;
  const { size, read } = source as Partial<FileSource>;
  return typeof size === "function" && typeof read === "function";
}

const WHAT_WORKS = `a folder, an http(s) URL, a file source, or the embedded model "${EMBEDDED.join('" or "')}"`;

/** Nothing lies at the path: a wrong name or path, or a hub id (`owner/name`), which looks like a path. */
function missing(source: string): CapstanError {
  const is_hub_id = /^\w[\w.-]*\/[\w.-]+$/.test(source);
  return new CapstanError(is_hub_id ? "unsupported" : "not_found", {
    action: `load ${show(source)}`,
    need: WHAT_WORKS,
    found: "no such folder",
    mend: is_hub_id ? "If it is a hub id: download it first and give the folder." : "Is the path right?",
  });
}

/** A folder behind a URL; its last part is the model's name. */
function fromUrl(source: string, signal: AbortSignal | undefined): ModelSource {
  const url = URL.canParse(source) ? new URL(source) : undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:") {
    const id = url.pathname.split("/").findLast((part) => part !== "") ?? url.hostname;
    return { id, files: urlSource(source, signal === undefined ? {} : { signal }) };
  }
  throw new CapstanError("unsupported", {
    action: `load ${show(source)}`,
    need: WHAT_WORKS,
    found: "a URL of another kind",
    mend: "Give the folder itself.",
  });
}
