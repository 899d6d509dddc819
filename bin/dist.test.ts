import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, it } from "vitest";
import { buildDist, root } from "../testing/runtimes/runtimes.ts";

/** What `scripts/bundle.mjs` makes of the sources: `dist/js/`. */

const js = join(root, "dist", "js");
const npm = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  exports: Record<string, string | Record<string, string>>;
};
const SOURCES: Record<string, string> = {
  ".": "sdk/index.ts",
  "./models": "models/index.ts",
  "./safetensors": "sdk/checkpoint/safetensors/index.ts",
  "./plots": "sdk/science/plots/index.ts",
  "./edge": "edge-worker/index.ts",
  "./conformance": "conformance/index.ts",
};
const subpaths = Object.entries(npm.exports).flatMap(([name, to]) =>
  typeof to === "string" ? [] : [{ name, built: to.default!, workerd: to.workerd }],
);
beforeAll(buildDist);

/** What a file imports before it runs. */
function importsOf(name: string): string[] {
  const text = readFileSync(join(js, name), "utf8");
  return Array.from(text.matchAll(/(?:\bfrom|\bimport)"([^"]+)"/g), ([, to]) => to!);
}

/** The files of `dist/js/` that are loaded with one, and the packages. */
function loadedWith(entry: string): { files: string[]; packages: string[] } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const queue = [entry];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (files.has(name)) continue;
    files.add(name);
    for (const to of importsOf(name)) {
      if (to.startsWith("./")) queue.push(to.slice(2));
      else packages.add(to);
    }
  }
  return { files: [...files].sort(), packages: [...packages].sort() };
}

describe("dist/page", () => {
  const folder = join(root, "dist", "page");
  const page = (name: string) => readFileSync(join(folder, name), "utf8");
  const scripts = () => readdirSync(folder).filter((name) => name.endsWith(".js"));
  /** The scripts that one leads to before it runs. */
  const with_it = (name: string, found = new Set<string>()): Set<string> => {
    if (found.has(name)) return found;
    found.add(name);
    for (const [, to] of page(name).matchAll(/(?:\bfrom|\bimport)"\.\/([^"]+)"/g)) with_it(to!, found);
    return found;
  };

  it("loads less than 60 kB packed before a model runs in it, and of that nothing but its own files", () => {
    const first = ["index.html", "style.css", "icon.svg", ...with_it("page.js")];
    expect(first).not.toContain("local.js");
    const packed = first.map((name) => gzipSync(page(name), { level: 9 }).length);
    expect(packed.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(60_000);
    expect(page("index.html")).not.toMatch(/https?:|<script>|style="/);
  });

  it("is whole: no script asks for a package, and every file of its list is there", () => {
    for (const name of scripts()) expect(page(name)).not.toMatch(/(?:\bfrom|\bimport)\(?["'`](?!\.)[\w@]/);
    const files = JSON.parse(page("files.json")) as Record<string, string>;
    expect(Object.keys(files)).toContain("/");
    for (const file of Object.values(files)) expect(existsSync(join(root, file)), file).toBe(true);
    for (const name of scripts()) expect(Object.values(files)).toContain(`dist/page/${name}`);
  });
});

describe("dist/js", () => {
  it.each(subpaths)("$name exports what its source does", async ({ name, built }) => {
    const source = (await import(pathToFileURL(join(root, SOURCES[name]!)).href)) as object;
    const bundled = (await import(pathToFileURL(join(root, built)).href)) as object;
    expect(Object.keys(bundled)).toEqual(Object.keys(source).sort());
  });

  it("each subpath has an entry for workers where it needs the binaries", () => {
    for (const { name, workerd } of subpaths) {
      if (["./models", "./plots"].includes(name)) continue;
      expect(importsOf(workerd!.split("/").at(-1)!)).toContain("./binaries.js");
    }
  });

  it('import "capstan" loads a few files, at most 60 kB of them packed, and what is not used waits', () => {
    const { files, packages } = loadedWith("index.js");
    expect(files).toEqual(["base.js", "core.js", "index.js", "load.js"]);
    expect(packages).toEqual([]);
    const packed = files.map((name) => gzipSync(readFileSync(join(js, name))).length);
    expect(packed.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(60_000);
  });

  it("a reply by the command loads neither the experiment nor the GPU", () => {
    const { files, packages } = loadedWith("cli-verbs-generate.js");
    expect(files).toEqual(["base.js", "cli-verbs-generate.js", "command.js", "load.js", "run.js"]);
    expect(packages).toEqual(["commander"]);
  });

  it("what a page and workerd load of it for conformance needs no package", () => {
    expect(loadedWith("case_page.js").packages).toEqual([]);
    const binaries = ["../pkg/capstan_core_bg.wasm", "../pkg/capstan_text.wasm"];
    expect(loadedWith("case_worker.js").packages).toEqual(binaries);
    const config = readFileSync(join(root, "dist", "workerd.capnp"), "utf8");
    for (const name of loadedWith("case_worker.js").files) expect(config).toContain(`embed "js/${name}"`);
  });

  it("a worker's entry has nothing of the page", () => {
    const { files, packages } = loadedWith("edge_app_workerd.js");
    const text = files.map((name) => readFileSync(join(js, name), "utf8")).join("");
    expect(text).not.toMatch(/<!doctype|getElementById|createElementNS/);
    expect(packages).not.toContain("node:fs");
  });

  it("names its binaries as bundlers look for them, and where they are", () => {
    const text = readFileSync(join(js, "load.js"), "utf8");
    const urls = Array.from(
      text.matchAll(/new URL\(`([^`]+\.wasm)`,import\.meta\.url\)/g),
      ([, url]) => url!,
    );
    expect(urls.sort()).toEqual(["../pkg/capstan_core_bg.wasm", "../pkg/capstan_text.wasm"]);
    for (const url of urls) expect(existsSync(join(js, url))).toBe(true);
  });

  it("holds no map, no empty file, and names without hashes", () => {
    const names = readdirSync(js);
    expect(names.filter((name) => !/^[a-z_-]+\.js$/.test(name))).toEqual([]);
    expect(names.filter((name) => statSync(join(js, name)).size === 0)).toEqual([]);
    expect(names.length).toBeLessThan(70);
  });
});
