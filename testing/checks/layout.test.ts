import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, sep } from "node:path";
import { describe, expect, it } from "vitest";
import biome from "../../biome.json" with { type: "json" };
import folders from "../../scripts/folders.json" with { type: "json" };
import tsconfig from "../../tsconfig.json" with { type: "json" };

/** What each folder may import beside itself. `bin` puts the folders together and is imported by none but testing. */
const MAY_IMPORT: Record<string, readonly string[]> = folders;

/** The same inside sdk/. `index.ts`, `types.ts` and the entries of runtimes lie at its root. */
const SDK_MAY_IMPORT: Record<string, readonly string[]> = {
  common: [],
  platform: ["common"],
  checkpoint: ["common", "platform"],
  text: ["common", "platform", "checkpoint"],
  inference: ["common", "platform", "checkpoint", "text"],
  science: ["common", "platform", "checkpoint", "text", "inference"],
  cli: ["common", "platform", "checkpoint", "text", "inference", "science"],
};

/** The one folder that may name a runtime; and the page, which has a browser's alone. */
const PLATFORM = [join("sdk", "platform") + sep, join("edge-worker", "page") + sep];

const root = join(import.meta.dirname, "..", "..");
const files = Object.keys(MAY_IMPORT).flatMap((folder) => sources(folder));

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
  return path.endsWith(".test.ts") || path.includes(`${sep}fixtures${sep}`) || path.startsWith("testing");
}

/** The files that a file imports, by their paths in the repository. */
function targetsOf(path: string): string[] {
  return importsOf(path)
    .filter((name) => name.startsWith("."))
    .map((name) => normalize(join(dirname(path), name)));
}

/** The folder of sdk/ that a path lies in; undefined at its root and elsewhere. */
function sdkFolder(path: string): string | undefined {
  const [top, folder, file] = path.split(sep);
  return top === "sdk" && file !== undefined ? folder : undefined;
}

describe("the layout", () => {
  it("has sources in it", () => {
    for (const folder of Object.keys(MAY_IMPORT))
      expect(files.filter((path) => path.startsWith(folder)).length, folder).toBeGreaterThan(1);
  });

  it("types, style and tests see every folder of sources", () => {
    const names = Object.keys(MAY_IMPORT);
    const with_sources = readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
      .map(({ name }) => name)
      .filter((name) => !["node_modules", "dist", "docs", "examples", "scripts"].includes(name));
    expect(with_sources.sort()).toEqual([...names].sort());
    expect(names.filter((name) => !tsconfig.include.includes(`${name}/**/*.ts`))).toEqual([]);
    const checked = biome.files.includes.flatMap(
      (path) => /^\{(.*)\}\/\*\*$/.exec(path)?.[1]?.split(",") ?? [],
    );
    expect(names.filter((name) => !checked.includes(name))).toEqual([]);
  });

  it("imports go one way: models <- core-wasm, gpu <- sdk <- edge-worker; conformance and bench by bin alone", () => {
    const wrong = files.flatMap((path) => {
      const folder = path.split(sep)[0]!;
      return targetsOf(path)
        .filter((target) => !(isTest(path) && target.endsWith(".json")))
        .map((target) => target.split(sep)[0]!)
        .filter((target) => target !== folder && !MAY_IMPORT[folder]!.includes(target))
        .filter((target) => !(isTest(path) && ["conformance", "testing"].includes(target)))
        .map((target) => `${path} imports ${target}`);
    });
    expect(wrong).toEqual([]);
  });

  it("imports inside sdk go one way: common <- platform <- checkpoint <- text <- inference <- science <- cli", () => {
    const folders = new Set(files.map(sdkFolder).filter((folder) => folder !== undefined));
    expect([...folders].sort()).toEqual(Object.keys(SDK_MAY_IMPORT).sort());
    const wrong = files
      .filter((path) => !isTest(path))
      .flatMap((path) => {
        const folder = sdkFolder(path);
        if (folder === undefined) return [];
        return targetsOf(path)
          .filter((target) => target.startsWith(`sdk${sep}`) && target !== join("sdk", "types.ts"))
          .map((target) => [target, sdkFolder(target)] as const)
          .filter(([, target]) => target !== folder && !SDK_MAY_IMPORT[folder]!.includes(target ?? ""))
          .map(([target]) => `${path} imports ${target}`);
      });
    expect(wrong).toEqual([]);
  });

  it("nothing lies loose in sdk/ but its index, its types and the entries of runtimes", () => {
    const loose = readdirSync(join(root, "sdk"), { withFileTypes: true }).filter((entry) => entry.isFile());
    expect(loose.map(({ name }) => name).sort()).toEqual(["README.md", "index.ts", "types.ts", "workerd.ts"]);
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
      .filter((path) => !isTest(path) && !PLATFORM.some((folder) => path.startsWith(folder)))
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

  it("tests take product modules as they are, and fakes keep to the public types", () => {
    const wrong = files
      .filter((path) => path !== join("testing", "checks", "layout.test.ts"))
      .filter((path) =>
        /\bvi\.mock\(|as unknown as (?:Model|Device|Tokenizer)\b/.test(
          readFileSync(join(root, path), "utf8"),
        ),
      );
    expect(wrong).toEqual([]);
  });
});
