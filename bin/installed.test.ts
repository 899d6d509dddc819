import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type InstalledProject, installPackage } from "../testing/installed.ts";
import { bun_path, lacks } from "../testing/parts.ts";

/** What someone has who installed the packed tarball into an empty project. */

const root = join(import.meta.dirname, "..");
const readme = readFileSync(join(root, "README.md"), "utf8");
let project: InstalledProject;
beforeAll(() => {
  project = installPackage(["@types/node"]);
});
afterAll(() => project?.[Symbol.dispose]());

async function run(
  command: string,
  ...args: string[]
): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(command, args, { cwd: project.folder, stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
  return { code: await new Promise((resolve) => child.on("close", resolve)), out, err };
}

describe("npm pack", () => {
  it("warns of nothing", () => {
    expect(project.pack_log).not.toMatch(/warn|error/i);
  });

  it("takes what is needed", () => {
    const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const exported = JSON.stringify(exports).match(/\.\/dist\/[\w./-]+/g)!;
    const needed = ["LICENSE", "README.md", "bin/capstan.mjs", ...exported.map((path) => path.slice(2))];
    const wasm = ["dist/pkg/capstan_core_bg.wasm", "dist/pkg/capstan_text.wasm"];
    expect(project.files).toEqual(
      expect.arrayContaining([...needed, ...wasm, "models/capstan-tiny/model.safetensors"]),
    );
  });

  it("leaves out tests, sources and what only they need", () => {
    const unwanted = /\.test\.|fixtures|fake_|training|testing|\.(rs|map)$|(?<!\.d)\.ts$/;
    expect(project.files.filter((path) => unwanted.test(path))).toEqual([]);
  });

  it("takes every file that README links to", () => {
    const links = [...readme.matchAll(/\]\((?!#|https?:)([^)]+)\)/g)].map(([, path]) => path!);
    expect(links.length).toBeGreaterThan(0);
    expect(project.files).toEqual(expect.arrayContaining(links));
  });
});

/** The pages whose commands and programs are run here; `docs/experiment.md` has a test of its own. */
const PAGES = ["README.md", ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`)].filter(
  (name) => name.endsWith(".md") && name !== "docs/experiment.md",
);

/** The fenced blocks of the pages, each with why it is not run, if it says so. */
const blocks = PAGES.flatMap((page) => {
  const found = readFileSync(join(root, page), "utf8").matchAll(
    /(?:<!-- not run: (.*) -->\n)?```(sh|ts)\n([\s\S]*?)```/g,
  );
  return [...found].map(([, reason, language, text]) => ({ page, reason, language: language!, text: text! }));
});
const runnable = blocks.filter(({ reason }) => reason === undefined);
const firstLine = (text: string) =>
  text
    .trim()
    .split("\n")
    .find((line) => !line.startsWith("import")) ?? "";

/** An example as a program: those after the first go on with what it imported and loaded. */
function programOf(text: string): string {
  if (text.includes("import {")) return text;
  const load = text.includes("load(") ? "" : 'const model = await load("capstan-tiny");\n';
  return `import { generate, load } from "capstan";\n${load}${text}`;
}

describe("the pages", () => {
  it("has commands and programs, and a reason for each that is not run", () => {
    expect(runnable.filter(({ language }) => language === "sh").length).toBeGreaterThan(1);
    expect(runnable.filter(({ language }) => language === "ts").length).toBeGreaterThan(1);
    for (const { reason } of blocks) if (reason !== undefined) expect(reason.length).toBeGreaterThan(10);
  });

  it("are one screen and a half, README, and links that lead somewhere", () => {
    expect(readme.split("\n").length).toBeLessThan(100);
    for (const page of PAGES) {
      const links = readFileSync(join(root, page), "utf8").matchAll(/\]\((?!#|https?:)([^)#]+)\)/g);
      for (const [, link] of links) expect(project.files, page).toContain(join(page, "..", link!));
    }
  });

  it.each(
    runnable
      .filter(({ language }) => language === "sh")
      .map(({ page, text }) => [page, firstLine(text), text]),
  )("%s: commands from: %s", { timeout: 600_000 }, async (_page, _line, text) => {
    const { code, err } = await run("bash", "-ec", text);
    expect(code, err).toBe(0);
  });

  it.each(
    runnable
      .filter(({ language }) => language === "ts")
      .map(({ page, text }, i) => [page, firstLine(text), text, i] as const),
  )("%s: program from: %s", { timeout: 600_000 }, async (_page, _line, text, i) => {
    const file = `example_${i}.mjs`;
    writeFileSync(join(project.folder, file), programOf(text));
    const { code, out, err } = await run(process.execPath, file);
    expect(code, err).toBe(0);
    // What the page shows beside the first is what it writes.
    const shown = /```text\n([\s\S]*?)\n```/.exec(readme)?.[1];
    if (i === 0) expect(out.trim()).toBe(shown);
  });
});

describe("types", () => {
  it.each([
    ["node16", "node16", ["es2022", "dom"]],
    ["nodenext", "nodenext", ["es2023", "dom"]],
    ["nodenext", "nodenext", ["es2023"]],
    ["esnext", "bundler", ["es2022", "dom", "dom.iterable"]],
  ])("are clean without skipLibCheck: module %s, resolution %s, lib %s", (module, moduleResolution, lib) => {
    const files = runnable
      .filter(({ language }) => language === "ts")
      .map(({ text }, i) => {
        writeFileSync(join(project.folder, `example_${i}.ts`), programOf(text));
        return `example_${i}.ts`;
      });
    const entries = ["", "/models", "/safetensors", "/plots", "/conformance"];
    const use = entries.map((name, i) => `export * as e${i} from "capstan${name}";`).join("\n");
    writeFileSync(join(project.folder, "use.ts"), use);
    const strict = { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true };
    const types = { types: ["node"], skipLibCheck: false };
    const compilerOptions = {
      noEmit: true,
      target: "es2022",
      module,
      moduleResolution,
      lib,
      ...strict,
      ...types,
    };
    const config = { compilerOptions, files: [...files, "use.ts"] };
    writeFileSync(join(project.folder, "tsconfig.json"), JSON.stringify(config));
    const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
    const { stdout } = spawnSync(process.execPath, [tsc, "-p", "."], {
      cwd: project.folder,
      encoding: "utf8",
    });
    // Node's own types have an error of theirs.
    const errors = stdout
      .split("\n")
      .filter((line) => /error TS/.test(line) && !line.includes("@types/node"));
    expect(errors).toEqual([]);
  });
});

/** Calls of the command, one after the other, in an empty folder. */
const callsIn = (folder: string) =>
  [
    "generate --prompt Hello --max_tokens 4 --json",
    "collect --limit 3 --max_tokens 32 --out RUN --json",
    "fit RUN --min_count 1 --out RUN/axis.safetensors --json",
    "cap RUN/axis.safetensors --out RUN/x.cap.safetensors --json",
    "plot persona-space RUN/axis.safetensors --out RUN/space.svg --json",
    "evaluate --suites dev --limit 1 --controls 0 --axis RUN/axis.safetensors --json",
    "bench --start_up --rounds 1 --json",
    "conformance --json",
    "doctor --json",
  ].map((call) => [call.replaceAll("RUN", folder)]);

async function expectJson(runtime: string, call: string): Promise<void> {
  const { code, out, err } = await run(runtime, "node_modules/capstan/bin/capstan.mjs", ...call.split(" "));
  expect(code, err).toBe(0);
  expect(JSON.parse(out)).toBeTypeOf("object");
}

describe("in Node", () => {
  it.each(callsIn("node-run"))("the command: %s", (call) => expectJson(process.execPath, call));
});

describe.skipIf(lacks("bun"))("in Bun", () => {
  it("the library gives what Node gives", async () => {
    const program = `
      import { generate, load } from "capstan";
      const model = await load("capstan-tiny");
      const messages = [{ role: "user", content: "Who are you?" }];
      const { tokens } = await generate(model, messages, { seed: 4, max_tokens: 24 }).result;
      console.log(JSON.stringify([...tokens]));
      await model.dispose();`;
    writeFileSync(join(project.folder, "same.mjs"), program);
    const [bun, node] = [await run(bun_path, "same.mjs"), await run(process.execPath, "same.mjs")];
    expect([bun.code, bun.err]).toEqual([0, ""]);
    expect(bun.out).toBe(node.out);
  });

  it.each(callsIn("bun-run"))("the command: %s", (call) => expectJson(bun_path, call));
});
