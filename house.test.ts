import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, sep } from "node:path";
import { describe, expect, it } from "vitest";

/** What each room may import beside itself. `bin` puts the rooms together and is imported by none. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  models: [],
  "core-wasm": ["models"],
  gpu: ["models"],
  sdk: ["models", "core-wasm", "gpu"],
  "edge-worker": ["models", "core-wasm", "gpu", "sdk"],
  conformance: ["models", "core-wasm", "gpu", "sdk", "edge-worker"],
  bin: ["models", "core-wasm", "gpu", "sdk", "edge-worker", "conformance"],
};

/** The one folder that may name a runtime. */
const PLATFORM = join("sdk", "platform") + sep;
/** What tests share; no product code imports it. */
const TESTING = join("conformance", "testing") + sep;

const root = import.meta.dirname;
const files = Object.keys(MAY_IMPORT).flatMap((room) => sources(room));

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (["node_modules", "target", "pkg", "reference", "training", "peers"].includes(entry.name)) return [];
    return entry.isDirectory() ? sources(path) : path.endsWith(".ts") ? [path] : [];
  });
}

function importsOf(path: string): string[] {
  const text = readFileSync(join(root, path), "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
  return [...text.matchAll(/(?:\bfrom\s*|\bimport\s*\(\s*|^\s*import\s+)["']([^"']+)["']/gm)].map(
    (match) => match[1]!,
  );
}

function isTest(path: string): boolean {
  return path.endsWith(".test.ts") || path.includes(`${sep}fixtures${sep}`) || path.startsWith(TESTING);
}

describe("the house", () => {
  it("has sources in it", () => {
    expect(files.length).toBeGreaterThan(10);
  });

  it("imports go one way: models <- core-wasm, gpu <- sdk <- edge-worker; conformance by nobody", () => {
    const wrong = files.flatMap((path) => {
      const room = path.split(sep)[0]!;
      return importsOf(path)
        .filter((name) => name.startsWith("."))
        .map((name) => normalize(join(dirname(path), name)).split(sep)[0]!)
        .filter((target) => target !== room && !MAY_IMPORT[room]!.includes(target))
        .filter((target) => !(isTest(path) && target === "conformance"))
        .map((target) => `${path} imports ${target}`);
    });
    expect(wrong).toEqual([]);
  });

  it("relative imports carry .ts, so that Deno runs the source as it is", () => {
    const wrong = files.flatMap((path) =>
      importsOf(path)
        .filter((name) => name.startsWith(".") && !/\.(ts|json)$/.test(name) && !name.includes("/pkg/"))
        .map((name) => `${path}: ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  it("only sdk/platform names a runtime", () => {
    const wrong = files
      .filter((path) => !isTest(path) && !path.startsWith(PLATFORM))
      .flatMap((path) => {
        const text = readFileSync(join(root, path), "utf8")
          .replace(/\/\*[\s\S]*?\*\//g, "")
          .replace(/\/\/.*$/gm, "");
        const found = text.match(
          /["']node:|\bDeno\.|\bnavigator\.|\bprocess\.|\bglobalThis\.(?:process|Deno|navigator)/g,
        );
        return (found ?? []).map((what) => `${path}: ${what}`);
      });
    expect(wrong).toEqual([]);
  });

  it("no file of TypeScript is over 400 lines unless its first lines say why", () => {
    const wrong = files.filter((path) => {
      const lines = readFileSync(join(root, path), "utf8").split("\n");
      return lines.length > 400 && !/^(\/\/|\/\*\*?).*long/im.test(lines.slice(0, 5).join("\n"));
    });
    expect(wrong).toEqual([]);
  });
});
