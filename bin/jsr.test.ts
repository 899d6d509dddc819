import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deno_path } from "../testing/parts.ts";

/** The package as JSR publishes it: its sources. All without a network. */

const root = join(import.meta.dirname, "..");
const scratch = mkdtempSync(join(tmpdir(), "capstan-jsr-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const read = (name: string) => JSON.parse(readFileSync(join(root, name), "utf8"));
const config = read("deno.json") as {
  name: string;
  version: string;
  exports: Record<string, string>;
  imports: Record<string, string>;
};
const npm = read("package.json") as {
  version: string;
  license: string;
  exports: Record<string, unknown>;
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
};

/** No program of these tests gets further than this machine. */
const OFFLINE = {
  HTTPS_PROXY: "http://127.0.0.1:9",
  HTTP_PROXY: "http://127.0.0.1:9",
  NO_PROXY: "127.0.0.1",
};

async function deno(
  cwd: string,
  ...args: string[]
): Promise<{ code: number | null; out: string; err: string }> {
  const env = { ...process.env, ...OFFLINE, NO_COLOR: "1", DENO_DIR: join(scratch, "cache") };
  const child = spawn(deno_path, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { code, out, err };
}

describe("deno.json", () => {
  it("says what package.json says", () => {
    expect(config).toMatchObject({ version: npm.version, license: npm.license });
    // Files of data are no modules: JSR serves them by their paths.
    const shared = Object.keys(npm.exports).filter((name) => !/json$|schemas/.test(name));
    expect(Object.keys(config.exports)).toEqual([...shared, "./cli"]);
    const wanted = { ...npm.dependencies, ...npm.optionalDependencies };
    const imports = Object.entries(wanted).map(([name, version]) => [name, `npm:${name}@${version}`]);
    expect(config.imports).toEqual(Object.fromEntries(imports));
  });
});

describe("deno publish --dry-run", () => {
  let result: Awaited<ReturnType<typeof deno>>;
  let files: string[];
  beforeAll(async () => {
    result = await deno(root, "publish", "--dry-run", "--allow-dirty");
    files = [...result.err.matchAll(/^ +file:\/\/(\S+) \(/gm)].map(([, path]) =>
      path!.slice(root.length + 1),
    );
  });

  it("passes, slow types and all", () => {
    expect(result.code, result.err).toBe(0);
    expect(result.err).toContain("Checking for slow types");
    expect(result.err).not.toContain("slow-types");
  });

  it("warns of nothing but imports by a name that is known when they are made", () => {
    const warned = [...result.err.matchAll(/warning\[([\w-]+)\][\s\S]*?--> (\S+?):/g)];
    // A package that may be missing, each in a runtime that JSR's readers do not need it in; and a judge of the user's own.
    expect(warned.map(([, what, where]) => [what, where!.slice(root.length + 1)])).toEqual([
      ["unanalyzable-dynamic-import", "bench/peers.ts"],
      ["unanalyzable-dynamic-import", "conformance/hosts/workerd_host.ts"],
      ["unanalyzable-dynamic-import", "sdk/platform/modules.ts"],
      ["unanalyzable-dynamic-import", "sdk/platform/webgpu.ts"],
    ]);
  });

  it("takes what the code needs, and neither tests nor what only they need", () => {
    const needed = ["LICENSE", "README.md", "package.json", "models/capstan-tiny/model.safetensors"];
    const wasm = ["core-wasm/pkg/capstan_core_bg.wasm", "core-wasm/text/pkg/capstan_text.wasm"];
    expect(files).toEqual(expect.arrayContaining([...needed, ...wasm, ...schemas(), ...sources()]));
    const unwanted =
      /\.test\.ts$|fixtures|fake_|training|conformance\/(testing|runtimes|reference)|\.rs$|node_modules/;
    expect(files.filter((name) => unwanted.test(name))).toEqual([]);
  });

  function schemas(): string[] {
    return readdirSync(join(root, "sdk/science/schemas"))
      .filter((name) => name.endsWith(".schema.json"))
      .map((name) => `sdk/science/schemas/${name}`);
  }

  function sources(): string[] {
    return Object.values(config.exports).map((path) => path.slice(2));
  }
});

const PROGRAM = `
const model = await load("capstan-tiny", { device: "wasm" });
const { text } = await generate(model, "Hello", { max_tokens: 4, temperature: 0 }).result;
console.log(JSON.stringify({ text }));
await model.dispose();
`;

/** A project with the npm packages that the imports name; a registry would bring them. */
function project(name: string, settings: object): string {
  const folder = mkdtempSync(join(scratch, name));
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  cpSync(join(root, "package.json"), join(folder, "package.json"));
  writeFileSync(join(folder, "deno.json"), JSON.stringify({ nodeModulesDir: "manual", ...settings }));
  return folder;
}

describe("imported from source", () => {
  it("as a package of JSR that is linked to a checkout", async () => {
    const { name, version } = config;
    const settings = { imports: { [name]: `jsr:${name}@^${version}` }, links: [root] };
    const folder = project("linked", settings);
    writeFileSync(join(folder, "main.ts"), `import { generate, load } from "${name}";${PROGRAM}`);
    const { code, out, err } = await deno(folder, "run", "-A", "--no-lock", "main.ts");
    expect(code, err).toBe(0);
    expect(JSON.parse(out).text.length).toBeGreaterThan(0);
  });

  describe("over HTTP, as JSR serves it", () => {
    let server: Server;
    let origin: string;
    beforeAll(async () => {
      server = createServer(({ url }, response) => {
        try {
          const body = readFileSync(join(root, decodeURIComponent(new URL(url!, "http://x").pathname)));
          // Without this Deno takes .ts for a video.
          response.setHeader("content-type", url!.endsWith(".ts") ? "text/typescript" : typeOf(url!));
          response.end(body);
        } catch {
          response.writeHead(404).end();
        }
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    });
    afterAll(() => void server.close());

    it("the library, its engine and its model", async () => {
      const folder = project("remote", { imports: config.imports });
      const library = `${origin}/${config.exports["."]!.slice(2)}`;
      writeFileSync(join(folder, "main.ts"), `import { generate, load } from "${library}";${PROGRAM}`);
      const { code, out, err } = await deno(folder, "run", "-A", "--no-lock", "--no-check", "main.ts");
      expect(code, err).toBe(0);
      expect(JSON.parse(out).text.length).toBeGreaterThan(0);
    });

    it("the command", async () => {
      const folder = project("command", { imports: config.imports });
      // JSR rewrites imports by name when a package is published; here the project's map does, for its own modules.
      const main = `import { main } from "${origin}/${config.exports["./cli"]!.slice(2)}";\nawait main();\n`;
      writeFileSync(join(folder, "main.ts"), main);
      const run = ["run", "-A", "--no-lock", "--no-check", "main.ts"];
      const version = await deno(folder, ...run, "--version");
      expect(version, version.err).toMatchObject({ code: 0, out: `${npm.version}\n` });
      const args = ["generate", "--prompt", "Hello", "--max_tokens", "4", "--json", "--device", "wasm"];
      const { code, out, err } = await deno(folder, ...run, ...args);
      expect(code, err).toBe(0);
      expect(JSON.parse(out)).toMatchObject({ model: "capstan-tiny", usage: { completion_tokens: 4 } });
    });
  });
});

function typeOf(url: string): string {
  return url.endsWith(".js") ? "text/javascript" : "application/octet-stream";
}
