// `npm run sizes`: what the package weighs, and what of it is loaded first.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build, buildTypes, install, root } from "./steps.mjs";

install();
build();
buildTypes();
const { stdout } = spawnSync("npm", ["pack", "--dry-run", "--ignore-scripts", "--json"], {
  cwd: root,
  encoding: "utf8",
});
const [{ size, unpackedSize, files }] = JSON.parse(stdout);
const code = files.filter(({ path }) => path.startsWith("dist/js/"));
const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
const packed = (path) => gzipSync(readFileSync(join(root, path)), { level: 9 }).length;
const first = loadedWith("index.js");
const lines = [
  ["tarball", kB(size)],
  ["unpacked", `${kB(unpackedSize)}, ${files.length} files`],
  ["code (dist/js)", `${kB(code.reduce((sum, { size }) => sum + size, 0))}, ${code.length} files`],
  [
    'import "capstan", gz',
    `${kB(first.reduce((sum, name) => sum + packed(`dist/js/${name}`), 0))}: ${first.join(" ")}`,
  ],
  ["engine, gz", kB(packed("dist/pkg/capstan_core_bg.wasm"))],
  ["tokenizers, gz", kB(packed("dist/pkg/capstan_text.wasm"))],
];
for (const [what, text] of lines) console.log(`${what.padEnd(22)}${text}`);

/** The files of dist/js that are loaded with one. */
function loadedWith(entry) {
  const found = new Set();
  const queue = [entry];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (found.has(name)) continue;
    found.add(name);
    const text = readFileSync(join(root, "dist", "js", name), "utf8");
    for (const [, to] of text.matchAll(/(?:\bfrom|\bimport)"\.\/([^"]+)"/g)) queue.push(to);
  }
  return [...found];
}
