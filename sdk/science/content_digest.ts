import { Sha256 } from "../common/sha256.ts";

/**
 * SHA-256 of what a file of the experiment holds, in hex after "sha256:": its metadata and its tensors in the order of their
 * names, so that it is the same however the file lies. Taken without waiting: files are encoded so, and in pages that have no
 * hashes (plain http) and workers alike.
 *
 * @param metadata by name, as the file has its text
 */
export function contentDigest(
  tensors: Iterable<readonly [string, { dtype: string; shape: readonly number[]; data: Uint8Array }]>,
  metadata: Readonly<Record<string, string>>,
): string {
  const hash = new Sha256();
  const encoder = new TextEncoder();
  const add = (...texts: string[]) => hash.update(encoder.encode(JSON.stringify(texts)));
  for (const [name, text] of Object.entries(metadata).sort(byName)) add(name, text);
  for (const [name, { dtype, shape, data }] of [...tensors].sort(byName)) {
    add(name, dtype, shape.join(","));
    hash.update(data);
  }
  return `sha256:${hash.hex()}`;
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
