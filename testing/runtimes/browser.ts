import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { build } from "vite";
import { CHROMIUM_FLAGS } from "../../conformance/hosts/page_host.ts";
import { resultOfText, toJson } from "../../conformance/hosts/task.ts";
import { type LocalServer, serveLocally } from "../../sdk/platform/index.ts";
import { chromium_path } from "../parts.ts";
import { buildDist, root, type TestRuntime } from "./runtimes.ts";

/** A page, or a Worker of one. */
export interface PageRuntime extends TestRuntime {
  /** Ends the Workers of the page where they are, once its task says that it is `running`. */
  endWorkers(): Promise<void>;
}

/** A Chromium without a window, with the repository served to it. */
export interface TestBrowser extends AsyncDisposable {
  /** Where `conformance/reference/`, `models/`, `dist/` and `node_modules/` are served. */
  readonly origin: string;
  /** A page that loads `dist/` as it is, by an import map. */
  page(): Promise<PageRuntime>;
  /** A module Worker of a page, bundled from the sources by Vite. */
  worker(): Promise<PageRuntime>;
  /** What an expression gives in a page with that import map. */
  evaluate(expression: string): Promise<unknown>;
}

/** What a page without a bundler needs to know: where the packages that the SDK imports lie. */
const IMPORTS = {
  "is-any-array": "/node_modules/is-any-array/lib/index.js",
  "ml-array-max": "/node_modules/ml-array-max/lib/index.js",
  "ml-array-min": "/node_modules/ml-array-min/lib/index.js",
  "ml-array-rescale": "/node_modules/ml-array-rescale/lib/index.js",
  "@cfworker/json-schema": "/node_modules/@cfworker/json-schema/dist/esm/index.js",
  re2js: "/node_modules/re2js/build/index.js",
  // The one that is CommonJS inside.
  "ml-matrix": "/bundle/ml-matrix.js",
  // The contract's random batches only.
  "fast-check": "/node_modules/fast-check/lib/fast-check.js",
  ...Object.fromEntries(
    [
      "distribution/uniformBigInt",
      "distribution/uniformInt",
      "generator/congruential32",
      "generator/mersenne",
      "generator/xoroshiro128plus",
      "generator/xorshift128plus",
      "utils/skipN",
    ].map((name) => [`pure-rand/${name}`, `/node_modules/pure-rand/lib/esm/${name}.js`]),
  ),
};

export async function openBrowser(): Promise<TestBrowser> {
  buildDist();
  const bundle = mkdtempSync(join(tmpdir(), "capstan-bundle-"));
  await bundleInto(bundle);
  const folders = ["dist", "node_modules", "models", "conformance/reference"];
  const mounts = Object.fromEntries(folders.map((folder) => [`/${folder}/`, join(root, folder)]));
  const html = (body: string) => `<!doctype html><link rel="icon" href="data:,">${body}`;
  const pages: Record<string, string> = { "/page": html(PAGES.page), "/worker": html(PAGES.worker) };
  const server = await serveLocally({
    folders: { ...mounts, "/bundle/": bundle },
    answer: async (path) => {
      const text = pages[path];
      return text === undefined ? undefined : { type: "text/html; charset=utf-8", text };
    },
  });
  // Its GPU is SwiftShader.
  const browser = await chromium.launch({
    executablePath: chromium_path,
    headless: true,
    args: ["--no-sandbox", ...CHROMIUM_FLAGS],
  });
  return {
    origin: server.origin,
    page: () => openPage(browser, server, "page"),
    worker: () => openPage(browser, server, "worker"),
    async evaluate(expression) {
      const page = await browser.newPage();
      await page.goto(`${server.origin}/page`);
      return await page.evaluate(expression).finally(() => page.close());
    },
    async [Symbol.asyncDispose]() {
      await browser.close();
      await server[Symbol.asyncDispose]();
      rmSync(bundle, { recursive: true, force: true });
    },
  };
}

/** Each page has `runTask` for tests to call. */
const PAGES = {
  page: `
    <script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>
    <script>
      globalThis.runTask = async (task) => (await import("/dist/testing/tasks.js")).run(task);
    </script>`,
  worker: `
    <script type="module" src="/bundle/open_worker.js"></script>
    <script>
      globalThis.runTask = (task) =>
        new Promise((resolve, reject) => {
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = ({ message }) => reject(new Error("the Worker failed: " + message));
          worker.postMessage(task);
        });
    </script>`,
};

async function openPage(
  browser: Browser,
  server: LocalServer,
  name: keyof typeof PAGES,
): Promise<PageRuntime> {
  const page = await browser.newPage();
  await page.goto(`${server.origin}/${name}`);
  return {
    // As text, which no transform of the test runner touches.
    run: async (name, args) => {
      const task = toJson({ name, args });
      return resultOfText(await page.evaluate<string>(`runTask(${JSON.stringify(task)})`)) as never;
    },
    async endWorkers() {
      await page.waitForFunction("globalThis.running === true");
      for (const worker of page.workers()) await worker.evaluate("self.close()").catch(() => {});
    },
    [Symbol.asyncDispose]: () => page.close(),
  };
}

async function bundleInto(folder: string): Promise<void> {
  await build({
    configFile: false,
    root,
    base: "/bundle/",
    logLevel: "error",
    build: {
      outDir: folder,
      copyPublicDir: false,
      minify: false,
      rollupOptions: {
        input: {
          open_worker: join(root, "testing", "runtimes", "open_worker.ts"),
          "ml-matrix": join(root, "node_modules", "ml-matrix", "matrix.mjs"),
        },
        preserveEntrySignatures: "exports-only",
        output: { entryFileNames: "[name].js" },
      },
    },
  });
}
