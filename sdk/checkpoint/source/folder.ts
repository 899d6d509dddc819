import { CapstanError, show } from "../../../models/index.ts";
import { fileKind, fileSize, joinPath, RangeReader } from "../../platform/index.ts";
import type { FileSource } from "../../types.ts";

/**
 * A folder on disk as a file source. Names may lead into folders below it (`roles/pirate.json`), never out of it.
 *
 * @throws CapstanError `not_found` when there is no such folder
 */
export async function folderSource(path: string): Promise<FileSource> {
  const kind = await fileKind(path);
  if (kind !== "folder") {
    throw new CapstanError("not_found", {
      action: `open folder ${path}`,
      need: "a folder with config.json and *.safetensors",
      found: kind === "none" ? "nothing there" : `a ${kind}`,
      fix: kind === "file" ? "Give the folder that holds the file." : "Is the path right?",
    });
  }
  const reader = new RangeReader();
  return {
    size: async (name) => await fileSize(inside(path, name)),
    read: async (name, start, end, into) => await reader.read(inside(path, name), start, end, into),
  };
}

function inside(folder: string, name: string): string {
  if (isPlainName(name)) return joinPath(folder, name);
  throw notInside(folder, name);
}

/** A name that would lead out of the place it is read from. */
export function notInside(place: string, name: string): CapstanError {
  return new CapstanError("bad_request", {
    action: `read from ${place}`,
    need: "a file name that stays inside it",
    found: show(name),
  });
}

/** Whether a name stays inside the folder it is read from: no `..`, no absolute path, no empty part. */
export function isPlainName(name: string): boolean {
  if (/[\\\0]|^[A-Za-z]:/.test(name)) return false;
  return name.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}
