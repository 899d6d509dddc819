import { CapstanError } from "../../../models/index.ts";
import {
  fileSize,
  type GrowingFile,
  type Hasher,
  hasher,
  holdLock,
  moveFile,
  openFile,
  openGrowing,
  remove,
} from "../../platform/index.ts";
import type { HttpClient } from "../source/http.ts";
import type { HubFile } from "./api.ts";
import type { ModelCache } from "./cache.ts";

const PIECE = 4 * 2 ** 20;

/**
 * Fetches a file into the cache's blobs, unless it is there. What an earlier call left unfinished is gone on with; the
 * blob appears under its name once its digest is right. Processes that want the same blob wait for each other.
 *
 * @param on_bytes called with how many bytes of the file are here
 * @throws CapstanError `digest_mismatch`, `network`, `access_denied`, `not_found`, `bad_file`, `aborted`
 */
export async function fetchBlob(
  client: HttpClient,
  url: string,
  file: HubFile,
  cache: ModelCache,
  signal: AbortSignal | undefined,
  on_bytes: (here: number) => void,
): Promise<void> {
  const blob = cache.blob(file.digest);
  if ((await fileSize(blob)) === file.size) return on_bytes(file.size);
  await using _lock = await holdLock(cache.lock(file.digest), signal);
  if ((await fileSize(blob)) === file.size) return on_bytes(file.size);
  const path = cache.unfinished(file.digest);
  const begun = (await fileSize(path)) ?? 0;
  let right = await complete(client, url, file, path, on_bytes);
  // What was here may have been damaged: once more, from the start.
  if (!right && begun > 0) {
    await remove(path);
    right = await complete(client, url, file, path, on_bytes);
  }
  if (!right) {
    await remove(path);
    throw mismatch(file);
  }
  await moveFile(path, blob);
}

/** Fetches what is missing of the file at `path`; whether its digest is then right. */
async function complete(
  client: HttpClient,
  url: string,
  file: HubFile,
  path: string,
  on_bytes: (here: number) => void,
): Promise<boolean> {
  await using growing = await openGrowing(path);
  let here = growing.size;
  if (here > file.size) {
    await growing.clear();
    here = 0;
  }
  const hash = begin(file);
  await addFile(hash, path, here);
  on_bytes(here);
  try {
    await append(client, url, file, here, growing, hash, on_bytes);
  } catch (error) {
    // A server that knows no ranges has to send it all.
    const is_deaf = error instanceof CapstanError && error.code === "unsupported" && here > 0;
    if (!is_deaf) throw error;
    await growing.clear();
    const hash = begin(file);
    await append(client, url, file, 0, growing, hash, on_bytes);
    await growing.flush();
    return hash.digest() === file.digest;
  }
  await growing.flush();
  return hash.digest() === file.digest;
}

async function append(
  client: HttpClient,
  url: string,
  file: HubFile,
  from: number,
  growing: GrowingFile,
  hash: Hasher,
  on_bytes: (here: number) => void,
): Promise<void> {
  let here = from;
  for await (const bytes of client.stream(url, from, file.size, null)) {
    await growing.append(bytes);
    hash.update(bytes);
    here += bytes.length;
    on_bytes(here);
  }
}

/** Git takes the digest of a header and the bytes. */
function begin({ algorithm, size }: HubFile): Hasher {
  if (algorithm === "sha256") return hasher("sha256");
  const hash = hasher("sha1");
  hash.update(`blob ${size}\0`);
  return hash;
}

async function addFile(hash: Hasher, path: string, size: number): Promise<void> {
  if (size === 0) return;
  await using file = await openFile(path);
  for (let at = 0; at < size; at += PIECE) hash.update(await file.read(at, Math.min(size, at + PIECE)));
}

function mismatch({ path, digest }: HubFile): CapstanError {
  return new CapstanError("digest_mismatch", {
    action: `fetch ${path}`,
    need: `bytes with digest ${digest}`,
    found: "others",
    fix: "They were removed: pull again, or check what stands between this machine and the hub.",
  });
}
