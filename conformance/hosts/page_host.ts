import { CapstanError } from "../../models/index.ts";
import {
  env,
  findProgram,
  isAdministrator,
  type LocalServer,
  makeTemporaryFolder,
  type RunningProgram,
  remove,
  serveLocally,
  startProgram,
} from "../../sdk/platform/index.ts";
import type { CaseReport } from "../check/report.ts";
import { type CaseArgs, caseTask } from "./case_task.ts";
import { CaseFolders, type CaseHost, distFolder, type HostOptions, orAborted } from "./host.ts";
import { type Answer, fromJson, resultOf, type Task, toJson } from "./task.ts";

const ACTION = "run cases in a page";

/** Any browser's page: the person is shown its address, opens it, and the page asks for one case after the other. */
export async function openPage({ signal, note }: HostOptions): Promise<CaseHost> {
  const page = await PageServer.start();
  await note(`Open this page in a browser on this machine: ${page.address}`);
  return {
    check: (source, options) => orAborted(page.check(source, options), ACTION, signal),
    [Symbol.asyncDispose]: () => page[Symbol.asyncDispose](),
  };
}

/** A page of this machine's Chromium, without a window. */
export async function openChromium({ signal }: HostOptions): Promise<CaseHost> {
  const executable = await findChromium();
  const page = await PageServer.start();
  const profile = await makeTemporaryFolder("capstan-chromium-");
  const flags = ["--headless", ...CHROMIUM_FLAGS, ...(isAdministrator() ? ["--no-sandbox"] : [])];
  const browser: RunningProgram = startProgram(
    executable,
    [...flags, `--user-data-dir=${profile}`, page.address],
    ACTION,
  );
  return {
    check(source, options) {
      const report = page.check(source, options);
      return orAborted(Promise.race([report, browser.ended]), ACTION, signal);
    },
    async [Symbol.asyncDispose]() {
      await browser[Symbol.asyncDispose]();
      await page[Symbol.asyncDispose]();
      await remove(profile);
    },
  };
}

/** WebGPU on whatever adapter there is; no calls to anywhere. */
export const CHROMIUM_FLAGS = [
  "--enable-unsafe-webgpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

const CHROMIUM_NAMES = [
  "chromium",
  "chromium-browser",
  "google-chrome",
  "google-chrome-stable",
  "chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
];

async function findChromium(): Promise<string> {
  const named = env("CAPSTAN_CHROMIUM");
  const found = await findProgram(named === undefined ? CHROMIUM_NAMES : [named]);
  if (found !== undefined) return found;
  throw new CapstanError("not_found", {
    action: ACTION,
    need: "Chromium or Chrome",
    found: named === undefined ? "none in PATH" : `nothing at CAPSTAN_CHROMIUM (${named})`,
    fix: "Install one, name it in CAPSTAN_CHROMIUM, or use --runtime page and open the page yourself.",
  });
}

/**
 * The server of the page, its code and the cases. The page's Worker asks for the next case and reports what became of
 * it; one that was opened again is given the case that is still open.
 */
class PageServer implements AsyncDisposable {
  readonly #cases: CaseFolders;
  readonly #server: LocalServer;
  #open: { task: Task; done: (answer: Answer) => void } | undefined;
  #waiting: (() => void)[] = [];
  #closed = false;

  private constructor(server: LocalServer, cases: CaseFolders) {
    this.#server = server;
    this.#cases = cases;
  }

  static async start(): Promise<PageServer> {
    const cases = new CaseFolders();
    cases.folders[`${cases.prefix}dist/`] = await distFolder();
    const answer = (path: string, body: string) => page.#answer(path, body);
    const server = await serveLocally({ folders: cases.folders, answer });
    const page: PageServer = new PageServer(server, cases);
    return page;
  }

  get address(): string {
    return `${this.#server.origin}${this.#cases.prefix}`;
  }

  async check(source: string, options: Omit<CaseArgs, "source">): Promise<CaseReport> {
    const url = this.#cases.url(this.#server.origin, source);
    return resultOf(await this.#run(caseTask({ ...options, source: url }))) as CaseReport;
  }

  #run(task: Task): Promise<Answer> {
    return new Promise((done) => {
      this.#open = { task, done };
      this.#wake();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#wake();
    await this.#server[Symbol.asyncDispose]();
  }

  async #answer(path: string, body: string): Promise<{ type: string; text: string } | undefined> {
    const json = (value: unknown) => ({ type: "application/json", text: toJson(value) });
    switch (path) {
      case this.#cases.prefix:
        return { type: "text/html; charset=utf-8", text: PAGE };
      case `${this.#cases.prefix}next`:
        return json(await this.#next());
      case `${this.#cases.prefix}done`:
        this.#open?.done(fromJson(body) as Answer);
        this.#open = undefined;
        return json(null);
      default:
        return undefined;
    }
  }

  async #next(): Promise<Task | null> {
    while (this.#open === undefined && !this.#closed) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.#open?.task ?? null;
  }

  #wake(): void {
    for (const go of this.#waiting.splice(0)) go();
  }
}

/** The Worker keeps the page alive to the person who looks at it. */
const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Capstan conformance</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }
  li { font-family: ui-monospace, monospace; font-size: 0.9rem; }
</style>
<h1>Capstan conformance</h1>
<p id="state">Checking the cases that the command line asks for.</p>
<ol id="cases"></ol>
<script type="module">
  const worker = new Worker("dist/js/case_page.js", { type: "module" });
  const state = document.getElementById("state");
  worker.onmessage = ({ data }) => {
    if (data === null) { state.textContent = "All done: the command line has the report."; return; }
    const line = document.createElement("li");
    line.textContent = data;
    document.getElementById("cases").append(line);
  };
  worker.onerror = ({ message }) => {
    state.textContent = "The Worker failed: " + (message ?? "it could not be loaded");
    fetch("done", { method: "POST", body: JSON.stringify({ error: { text: state.textContent } }) });
  };
</script>
</html>
`;
