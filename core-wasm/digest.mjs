import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** In pkg/: the digest of the sources that it was built from. */
export const DIGEST_FILE = "sources.sha256";

/**
 * SHA-256 over everything that decides what the engine's binary is: Rust sources, manifest, lock file,
 * toolchain and build script, each with its name, in sorted order. Line endings do not count.
 */
export function sourceDigest() {
  const root = new URL("./", import.meta.url);
  const sources = readdirSync(fileURLToPath(new URL("src/", root)), { recursive: true })
    .map((name) => `src/${String(name).replaceAll("\\", "/")}`)
    .filter((name) => name.endsWith(".rs"));
  const files = [...sources, "Cargo.toml", "Cargo.lock", "build.mjs", "../rust-toolchain.toml"].sort();
  const hash = createHash("sha256");
  for (const name of files) {
    const text = readFileSync(fileURLToPath(new URL(name, root)), "utf8").replaceAll("\r\n", "\n");
    hash.update(`${name}\0${text}\0`);
  }
  return hash.digest("hex");
}
