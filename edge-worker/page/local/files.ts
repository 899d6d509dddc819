import { present } from "../../../models/certain.ts";
import type { FileSource } from "../../../sdk/types.ts";

/** A model's files in a page: a folder that the visitor picks, and copies that the browser keeps. */

/** A folder by its files, as `<input webkitdirectory>` gives them: `folder/config.json`, ... */
export function pickedFolder(files: Iterable<File>): { name: string; files: FileSource } {
  const by_name = new Map<string, File>();
  let name = "model";
  for (const file of files) {
    const [folder = "", ...rest] = (file.webkitRelativePath || file.name).split("/");
    if (rest.length > 0) name = folder;
    by_name.set(rest.length > 0 ? rest.join("/") : folder, file);
  }
  return {
    name,
    files: {
      size: async (path) => by_name.get(path)?.size,
      read: async (path, start, end) => await bytesOf(present(by_name.get(path), path), start, end),
    },
  };
}

/** Files that stand beside others, or in their place. */
export function withFiles(files: FileSource, own: Readonly<Record<string, Uint8Array>>): FileSource {
  return {
    size: async (name) =>
      Object.hasOwn(own, name) ? present(own[name], name).length : await files.size(name),
    read: async (name, start, end, into) =>
      Object.hasOwn(own, name)
        ? present(own[name], name).slice(start, end)
        : await files.read(name, start, end, into),
  };
}

async function bytesOf(blob: Blob, start: number, end: number): Promise<Uint8Array> {
  return new Uint8Array(await blob.slice(start, end).arrayBuffer());
}

/** Files are kept in blocks of so many bytes: a copy that was broken off goes on where it was. */
const BLOCK = 16 * 2 ** 20;
const FOLDER = "capstan-models";
const INDEX = "sizes.json";

/** Models that the browser keeps, in its origin private file system. */
export class KeptModels {
  readonly #root: FileSystemDirectoryHandle;

  private constructor(root: FileSystemDirectoryHandle) {
    this.#root = root;
  }

  /** @returns null where the browser keeps nothing for this page */
  static async open(): Promise<KeptModels | null> {
    try {
      const root = await navigator.storage.getDirectory();
      return new KeptModels(await root.getDirectoryHandle(FOLDER, { create: true }));
    } catch {
      return null;
    }
  }

  async names(): Promise<string[]> {
    const names: string[] = [];
    for await (const name of this.#root.keys()) names.push(decodeURIComponent(name));
    return names.sort();
  }

  async remove(name: string): Promise<void> {
    await this.#root.removeEntry(encodeURIComponent(name), { recursive: true });
  }

  /**
   * A model's files, kept as they are read: what is there is not asked for again.
   *
   * @param files where they come from; null for a model that is kept whole
   */
  async source(name: string, files: FileSource | null): Promise<FileSource> {
    const folder = await this.#root.getDirectoryHandle(encodeURIComponent(name), { create: true });
    return await keptSource(folder, files);
  }
}

/** As `KeptModels.source`, in any folder. */
export async function keptSource(
  folder: FileSystemDirectoryHandle,
  files: FileSource | null,
): Promise<FileSource> {
  const sizes = JSON.parse((await readKept(folder, INDEX)) ?? "{}") as Record<string, number | null>;
  let saving: Promise<void> = Promise.resolve();
  const save = () => {
    saving = saving
      .catch(() => {})
      .then(() => writeKept(folder, INDEX, new TextEncoder().encode(JSON.stringify(sizes))));
    return saving;
  };
  const size = async (name: string): Promise<number | undefined> => {
    const known = Object.hasOwn(sizes, name) ? sizes[name] : undefined;
    if (known !== undefined) return known ?? undefined;
    const found = await files?.size(name);
    if (files !== null) {
      sizes[name] = found ?? null;
      await save();
    }
    return found;
  };
  const running = new Map<string, Promise<Blob>>();
  const block = async (name: string, at: number, total: number): Promise<Blob> => {
    const path = `${encodeURIComponent(name)}.${at}`;
    const [start, end] = [at * BLOCK, Math.min(total, (at + 1) * BLOCK)];
    const kept = await openKept(folder, path);
    if (kept !== null && kept.size === end - start) return kept;
    if (files === null) throw new Error(`${name} is not kept whole: load the model again while online`);
    const bytes = await files.read(name, start, end);
    await writeKept(folder, path, bytes);
    return new Blob([bytes as Uint8Array<ArrayBuffer>]);
  };
  const shared = (name: string, at: number, total: number): Promise<Blob> => {
    const key = `${name} ${at}`;
    const work = running.get(key) ?? block(name, at, total).finally(() => running.delete(key));
    running.set(key, work);
    return work;
  };
  return {
    size,
    async read(name, start, end) {
      const total = (await size(name)) ?? 0;
      const bytes = new Uint8Array(end - start);
      for (let at = Math.floor(start / BLOCK); at * BLOCK < end; at++) {
        const from = Math.max(start, at * BLOCK);
        const to = Math.min(end, (at + 1) * BLOCK);
        const kept = await shared(name, at, total);
        bytes.set(await bytesOf(kept, from - at * BLOCK, to - at * BLOCK), from - start);
      }
      return bytes;
    },
  };
}

async function openKept(folder: FileSystemDirectoryHandle, name: string): Promise<File | null> {
  try {
    return await (await folder.getFileHandle(name)).getFile();
  } catch {
    return null;
  }
}

async function readKept(folder: FileSystemDirectoryHandle, name: string): Promise<string | null> {
  return (await (await openKept(folder, name))?.text()) ?? null;
}

async function writeKept(folder: FileSystemDirectoryHandle, name: string, bytes: Uint8Array): Promise<void> {
  const handle = await folder.getFileHandle(name, { create: true });
  const file = await handle.createWritable();
  await file.write(bytes as Uint8Array<ArrayBuffer>);
  await file.close();
}
