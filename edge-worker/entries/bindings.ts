import { CapstanError } from "../../models/index.ts";
import type { FileSource } from "../../sdk/types.ts";
import type { FindPageFile } from "../routes/page.ts";

/** Model files in what a worker is bound to: an R2 bucket, or static assets. Read by ranges, so that no file is held whole. */

/** The part of an R2 bucket that is used. */
export interface Bucket {
  head(key: string): Promise<{ size: number } | null>;
  get(
    key: string,
    options: { range: { offset: number; length: number } },
  ): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>;
}

/** A service that answers requests: static assets, or another worker. */
export interface Fetcher {
  fetch(request: string, init?: { method?: string; headers?: Record<string, string> }): Promise<Response>;
}

/** @param folder keys are `folder/name` */
export function bucketFiles(bucket: Bucket, folder: string): FileSource {
  const keyOf = (name: string) => (folder === "" ? name : `${folder}/${name}`);
  return {
    async size(name) {
      return (await bucket.head(keyOf(name)))?.size;
    },
    async read(name, start, end) {
      const object = await bucket.get(keyOf(name), { range: { offset: start, length: end - start } });
      if (object === null) throw missing(name, "no such key");
      return checked(new Uint8Array(await object.arrayBuffer()), name, start, end);
    },
  };
}

/** Assets take no ranges everywhere: one that is answered whole is cut. */
export function assetFiles(assets: Fetcher, folder: string): FileSource {
  const urlOf = (name: string) => `https://assets.local/${folder === "" ? "" : `${folder}/`}${name}`;
  return {
    async size(name) {
      const response = await assets.fetch(urlOf(name), { method: "HEAD" });
      const length = response.headers.get("content-length");
      return response.ok && length !== null ? Number(length) : undefined;
    },
    async read(name, start, end) {
      const response = await assets.fetch(urlOf(name), { headers: { range: `bytes=${start}-${end - 1}` } });
      if (!response.ok) throw missing(name, `status ${response.status}`);
      const bytes = new Uint8Array(await response.arrayBuffer());
      return checked(response.status === 206 ? bytes : bytes.subarray(start, end), name, start, end);
    },
  };
}

/** The page's files in static assets; the types are the ones that these come with. */
export function assetPage(assets: Fetcher, folder: string): FindPageFile {
  const root = folder === "" ? "" : `/${folder}`;
  return async (path) => {
    const response = await assets.fetch(`https://assets.local${root}${path}`);
    if (!response.ok) return null;
    const bytes = new Uint8Array(await response.arrayBuffer());
    return { bytes, type: response.headers.get("content-type") ?? "application/octet-stream" };
  };
}

function checked(bytes: Uint8Array, name: string, start: number, end: number): Uint8Array {
  if (bytes.length === end - start) return bytes;
  throw missing(name, `${bytes.length} bytes of ${end - start}`);
}

function missing(name: string, found: string): CapstanError {
  return new CapstanError("not_found", {
    action: `read ${name}`,
    need: "the file in the worker's binding",
    found,
  });
}
