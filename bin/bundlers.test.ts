import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build as esbuild } from "esbuild";
import { type Browser, chromium } from "playwright-core";
import { build as vite } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CHROMIUM_FLAGS } from "../conformance/hosts/page_host.ts";
import { serveLocally } from "../sdk/platform/index.ts";
import { type InstalledProject, installPackage } from "../testing/installed.ts";
import { chromium_path, lacks } from "../testing/parts.ts";

/** An application of the installed package, bundled as README says, in Chromium. */

const MAIN = `
import { cap, generate, load } from "capstan";
async function main() {
  const model = await load("capstan-tiny", { device: "wasm" });
  const messages = [{ role: "user", content: "Who are you?" }];
  const { text } = await generate(model, messages, { temperature: 0, max_tokens: 12 }).result;
  await model.dispose();
  return { text, caps: typeof cap, ran: model.device.description, warnings: model.warnings };
}
globalThis.result = main().catch((error) => ({ code: error.code, message: error.message }));
`;
const page = (script: string) => `<!doctype html><link rel="icon" href="data:,">${script}`;

type Bundle = (folder: string) => Promise<string>;

const BUNDLERS: Record<string, Bundle> = {
  async vite(folder) {
    writeFileSync(join(folder, "index.html"), page('<script type="module" src="/main.js"></script>'));
    await vite({
      root: folder,
      configFile: false,
      logLevel: "error",
      build: { outDir: "out", emptyOutDir: true },
    });
    return join(folder, "out");
  },
  async esbuild(folder) {
    const out = join(folder, "out");
    const options = { bundle: true, splitting: true, format: "esm", logLevel: "error" } as const;
    await esbuild({ ...options, absWorkingDir: folder, entryPoints: ["main.js"], outdir: "out" });
    writeFileSync(join(out, "index.html"), page('<script type="module" src="main.js"></script>'));
    return out;
  },
};

describe.skipIf(lacks("chromium"))("bundled for a page", () => {
  let project: InstalledProject;
  let browser: Browser;
  beforeAll(async () => {
    project = installPackage();
    writeFileSync(join(project.folder, "main.js"), MAIN);
    const args = ["--no-sandbox", ...CHROMIUM_FLAGS];
    browser = await chromium.launch({ executablePath: chromium_path, headless: true, args });
  });
  afterAll(async () => {
    await browser?.close();
    project?.[Symbol.dispose]();
  });

  /** What the page's program ended with. `fallback`: a server that answers with the page whatever is asked for. */
  async function resultOf(out: string, fallback = false): Promise<{ text?: string; message?: string }> {
    await using server = await serveLocally({
      folders: { "/": out },
      answer: async (path) => {
        if (!fallback || existsSync(join(out, path))) return undefined;
        return { type: "text/html; charset=utf-8", text: page("") };
      },
    });
    const tab = await browser.newPage();
    try {
      await tab.goto(`${server.origin}/index.html`);
      return await tab.evaluate("globalThis.result");
    } finally {
      await tab.close();
    }
  }

  const copy = (out: string, from: string, to: string) => {
    mkdirSync(join(out, to, ".."), { recursive: true });
    cpSync(join(project.folder, "node_modules/capstan", from), join(out, to), { recursive: true });
  };
  const copyEngine = (out: string) => {
    copy(out, "dist/pkg/capstan_core_bg.wasm", "pkg/capstan_core_bg.wasm");
    copy(out, "dist/pkg/capstan_text.wasm", "pkg/capstan_text.wasm");
  };

  it.each([false, true])(
    "vite: the engine comes along; the model is where it was copied (fallback: %s)",
    async (fallback) => {
      const out = await BUNDLERS.vite!(project.folder);
      const without = await resultOf(out, fallback);
      expect(without).toMatchObject({ code: "not_found" });
      expect(without.message).toContain(
        "Copy node_modules/capstan/models/capstan-tiny to models/capstan-tiny",
      );
      copy(out, "models/capstan-tiny", "models/capstan-tiny");
      const found = await resultOf(out, fallback);
      expect(found).toMatchObject({
        caps: "function",
        warnings: [],
        ran: "WASM SIMD, 1 thread, in a worker",
      });
      expect(found.text!.length).toBeGreaterThan(0);
    },
  );

  it("esbuild: engine and model are where they were copied; the worker's script is not, and that is said", async () => {
    const out = await BUNDLERS.esbuild!(project.folder);
    copy(out, "models/capstan-tiny", "models/capstan-tiny");
    const without = await resultOf(out, true);
    expect(without).toMatchObject({ code: "not_found" });
    expect(without.message).toMatch(/\/pkg\/capstan_(core_bg|text)\.wasm.*copy capstan_/);
    copyEngine(out);
    for (const fallback of [false, true]) {
      const found = await resultOf(out, fallback);
      expect(found.text!.length).toBeGreaterThan(0);
      expect(found).toMatchObject({
        ran: "WASM SIMD, 1 thread",
        warnings: [
          expect.stringMatching(/^The engine runs on the calling thread, in small steps: no worker started/),
        ],
      });
    }
    rmSync(out, { recursive: true });
  });
});
