// From the declarations that tsc wrote into .types/, those that the package's entries lead to, into types/ of the folder
// that it is given. Run by `buildTypes` of steps.mjs.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const PREFIX = "./dist/types/";

const queue = Object.values(exports).flatMap(({ types }) => types?.slice(PREFIX.length) ?? []);
const done = new Set();
for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
  if (done.has(name)) continue;
  done.add(name);
  const text = readFileSync(join(root, ".types", name), "utf8");
  for (const [, to] of text.matchAll(/(?:\bfrom |\bimport\(|\bimport )"(\.[^"]+)"/g)) {
    queue.push(declarationOf(normalize(join(dirname(name), to))));
  }
  const target = join(process.argv[2], "types", name);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, withLib(text));
}

function declarationOf(name) {
  const file = name.replace(/\.(ts|js)$/, ".d.ts");
  if (existsSync(join(root, ".types", file))) return file;
  throw new Error(`no declarations of ${name}`);
}

/**
 * Types of `await using` are in no lib that a consumer has by default, so the declarations name it. In the sources JSR
 * would refuse such a line.
 */
function withLib(text) {
  if (!/\b(AsyncDisposable|Disposable|Symbol\.(asyncDispose|dispose))\b/.test(text)) return text;
  return `/// <reference lib="esnext.disposable" />\n${text}`;
}
