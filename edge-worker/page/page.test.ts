import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Download, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { HttpListener } from "../../sdk/platform/http.ts";
import { sha256 } from "../../sdk/platform/index.ts";
import { chromium_path, lacks } from "../../testing/parts.ts";
import { buildDist, root } from "../../testing/runtimes/runtimes.ts";
import { createApp } from "../app.ts";
import { pageFiles } from "../cli/page_files.ts";
import { policyOfModel } from "../cli/policy_file.ts";
import { serveOnNode } from "../entries/node.ts";
import type { PolicyInput } from "../policy/policy.ts";
import { SCRIPTS } from "./state/presets.ts";

/** The page in Chromium, with the clicks and keys of a visitor, on a server and with the model in it. A long file: one walk. */

const axe_source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser: Browser;
let context: BrowserContext;
let server: HttpListener;
/** What the page asked the API for, in the test that runs. */
let asked: string[] = [];
/** What went wrong in any page of the test. */
let faults: string[] = [];

async function serve(
  change: (policy: PolicyInput) => PolicyInput = (policy) => policy,
): Promise<HttpListener> {
  const policy = change(await policyOfModel({ model: "capstan-tiny", device: "wasm" }));
  const app = createApp({ policy, page: pageFiles() });
  const fetch = (request: Request) => {
    const { pathname } = new URL(request.url);
    if (pathname.startsWith("/v1")) asked.push(pathname);
    return app.fetch(request);
  };
  return await serveOnNode(fetch, { host: "127.0.0.1", port: 0 });
}

const closed = () => AbortSignal.abort();

describe.skipIf(lacks("chromium"))("the page", () => {
  beforeAll(async () => {
    buildDist();
    server = await serve();
    browser = await chromium.launch({ executablePath: chromium_path, args: ["--no-sandbox"] });
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close(closed());
  });
  beforeEach(async () => {
    [asked, faults] = [[], []];
    context = await browser.newContext({
      viewport: { width: 1280, height: 800 },
      permissions: ["clipboard-read", "clipboard-write"],
    });
  });
  afterEach(async () => {
    await context.close();
    expect(faults).toEqual([]);
  });

  it("answers in two columns, tints tokens and draws the drift; a point of the chart leads to its turn", async () => {
    const page = await open();
    await send(page, "You are a pirate of the storm! Who are you?");
    await send(page, "What colour is the sky?");
    expect(await page.locator(".turn").count()).toBe(2);
    expect(await page.locator(".reply .text").allInnerTexts()).toSatisfy((texts: string[]) =>
      texts.every((text) => text.length > 3),
    );
    expect(await page.locator(".reply .token.high, .reply .token.low").count()).toBeGreaterThan(20);
    expect(await page.locator(".mean").first().innerText()).toMatch(
      /^mean −?[\d.]+, . (above|below) the floor$/,
    );
    await page.locator(".reply .token").first().hover();
    expect(await page.locator("#tip").innerText()).toMatch(/^−?[\d.]+ at layer 4\n.*floor 42\.9$/s);
    expect(await page.locator(".chart .point").count()).toBe(4);
    await page.evaluate("scrollTo(0, document.body.scrollHeight)");
    await page.getByRole("button", { name: /^Turn 1, Uncapped: / }).click();
    expect(await page.evaluate("document.activeElement.id")).toBe("turn-1");
    expect(await page.locator("#turn-1").getAttribute("class")).toContain("shown");
    expect(asked.filter((path) => path === "/v1/chat/completions")).toHaveLength(4);
  });

  it("shows the readings before or after the cap", async () => {
    const page = await open();
    await page.getByRole("button", { name: "Pirate" }).click();
    await send(page, "Who are you?");
    const means = () => page.locator(".mean").allInnerTexts();
    const after = await means();
    await page.getByText("before cap").click();
    await expect.poll(means).not.toEqual(after);
    const [plain, capped] = await means();
    expect(plain).toBe(after[0]);
    const number = (text: string | undefined) => Number(/[−\d.]+/.exec(text!)![0].replace("−", "-"));
    expect(number(capped)).toBeLessThan(number(after[1]));
  });

  it("undoes, regenerates, edits and stops", async () => {
    const page = await open();
    await send(page, "Who are you?");
    await send(page, "Rise from the pit and answer me!");
    await page.getByRole("button", { name: "Undo" }).click();
    expect(await page.locator(".turn").count()).toBe(1);
    expect(await page.getByLabel("Message", { exact: true }).inputValue()).toBe(
      "Rise from the pit and answer me!",
    );
    const texts = () => page.locator(".reply .text").allInnerTexts();
    const first = await texts();
    await page.getByLabel("Seed, empty for any").fill("99");
    await page.getByLabel("Seed, empty for any").blur();
    await page.getByRole("button", { name: "Regenerate" }).click();
    await idle(page);
    const second = await texts();
    expect(second).not.toEqual(first);
    await page.getByLabel("Seed, empty for any").fill("1");
    await page.getByLabel("Seed, empty for any").blur();
    await page.getByRole("button", { name: "Again: Capped: p50" }).click();
    await idle(page);
    expect(await texts()).toEqual([second[0], first[1]]);
    await page.getByRole("button", { name: "Edit turn 1" }).click();
    await page.getByLabel("Message of turn 1").fill("What is in the box?");
    await page.getByRole("button", { name: "Send again from here" }).click();
    await idle(page);
    expect(await page.locator(".user p").allInnerTexts()).toEqual(["What is in the box?"]);
    expect(await page.locator(".reply").count()).toBe(2);
    await page.getByRole("button", { name: "New" }).click();
    const script = SCRIPTS[1]!;
    await page.getByRole("button", { name: script.name }).click();
    await page.getByRole("button", { name: "Stop" }).click();
    await idle(page);
    expect(await page.locator(".turn").count()).toBeLessThan(script.turns.length);
  });

  it("plays a prepared conversation in which the uncapped column gives the code away and the capped keeps it", async () => {
    const page = await open();
    await page.getByRole("button", { name: "A code in the notes" }).click();
    await idle(page);
    const [plain, capped] = await page.locator("#turn-3 .reply .text").allInnerTexts();
    expect(plain).toContain("red heron 3");
    expect(capped).not.toContain("red heron");
    expect(await page.locator("#turn-3 .mean").allInnerTexts()).toEqual([
      expect.stringContaining("▼ below the floor"),
      expect.stringContaining("▲ above the floor"),
    ]);
  });

  it("shares by a link that needs no server's memory, and exports what opens again", async () => {
    const page = await open();
    await send(page, "Who are you?");
    await page.getByRole("button", { name: "Share" }).click();
    await expect.poll(() => page.locator("#status").innerText()).toContain("Link copied");
    const link = (await page.evaluate("navigator.clipboard.readText()")) as string;
    const texts = await page.locator(".reply .text").allInnerTexts();
    const means = await page.locator(".mean").allInnerTexts();
    asked = [];
    const other = await openAt(link);
    await other.locator(".reply").nth(1).waitFor();
    expect(await other.locator(".reply .text").allInnerTexts()).toEqual(texts);
    expect(await other.locator(".mean").allInnerTexts()).toEqual(means);
    expect(asked).not.toContain("/v1/chat/completions");
    await send(other, "And then?");
    await openAt(`${link.slice(0, -9)}`).then(async (broken) => {
      await expect.poll(() => broken.locator("#status").innerText()).toBe("The link is cut off or damaged.");
    });
    const json = await exported(page, "JSON");
    expect(json.name).toBe("capstan-chat.json");
    expect(JSON.parse(json.text).turns[0].replies).toHaveLength(2);
    expect((await exported(page, "Markdown")).text).toContain("**Capped: p50** (mean projection");
    const html = await exported(page, "Page with chart");
    const alone = await context.newPage();
    await alone.goto(`data:text/html;charset=utf-8,${encodeURIComponent(html.text)}`);
    expect(await alone.locator("svg .point").count()).toBe(2);
    expect(await alone.locator("section .text").allInnerTexts()).toEqual(texts);
    await page.getByRole("button", { name: "New" }).click();
    await page.locator("input[type=file]").setInputFiles(json.path);
    await page.locator(".reply").nth(1).waitFor();
    expect(await page.locator(".reply .text").allInnerTexts()).toEqual(texts);
  });

  it("is used with the keyboard alone", async () => {
    const page = await open();
    const focus = () =>
      page.evaluate(
        "document.activeElement.id || document.activeElement.getAttribute('aria-label') || document.activeElement.textContent",
      );
    const tabTo = async (name: string | RegExp) => {
      for (let i = 0; i < 60; i++) {
        const now = (await focus()) as string;
        if (typeof name === "string" ? now === name : name.test(now)) return;
        await page.keyboard.press("Tab");
      }
      throw new Error(`the keyboard does not come to ${name}`);
    };
    expect(await focus()).toBe("message");
    await page.keyboard.type("Who are you?");
    await page.keyboard.press("Enter");
    await idle(page);
    expect(await focus()).toBe("message");
    await page.locator(".skip").focus();
    await tabTo(/^Turn 1, Uncapped/);
    await page.keyboard.press("Enter");
    expect(await focus()).toBe("turn-1");
    await tabTo(/^Uncapped, reply/);
    await page.keyboard.press("ArrowRight");
    expect(await page.locator("#tip").innerText()).toMatch(/at layer 4/);
    const first = await page.locator("#token").innerText();
    await page.keyboard.press("ArrowRight");
    expect(await page.locator("#token").innerText()).not.toBe(first);
    await tabTo("message");
    await page.keyboard.type("one");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("two");
    expect(await page.locator("#message").inputValue()).toBe("one\ntwo");
    await page.locator(".skip").focus();
    await tabTo(/^Edit turn 1/);
    await page.keyboard.press("Enter");
    await page.keyboard.press("Escape");
    expect(await focus()).toBe("Edit turn 1");
    await page.locator("[name=side][value=after]").focus();
    await page.keyboard.press("ArrowLeft");
    expect(await page.locator("[name=side][value=before]").isChecked()).toBe(true);
    await page.locator(".skip").focus();
    await tabTo("Export");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    expect(await focus()).toBe("JSON");
    await page.keyboard.press("Escape");
    expect(await focus()).toBe("Export");
  });

  it("runs the model in itself with ?local: nothing is asked of the API, caps are free, steering steers", async () => {
    const page = await openLocal();
    const own = page.locator(".head").nth(1);
    await own.locator("select").selectOption("Own cap");
    await set(own.getByLabel(/^Floor: percentile/), 90);
    await set(own.getByLabel(/^First capped layer/), 3);
    await page.locator(".head").first().getByText("Adjust").click();
    await set(
      page
        .locator(".head")
        .first()
        .getByLabel(/^Steering/),
      -100,
    );
    await send(page, "Who are you?");
    expect(await page.locator(".reply-head strong").allInnerTexts()).toEqual([
      "Uncapped, steered −100 %",
      "Own cap: p90, layers 3 to 4",
    ]);
    const floor = await page.locator(".floor-label").textContent();
    expect(Number(floor!.split(" ")[1])).toBeGreaterThan(80);
    expect(await page.locator(".mean").allInnerTexts()).toEqual([
      expect.stringContaining("▼ below the floor"),
      expect.stringContaining("▲ above the floor"),
    ]);
    expect(asked).toEqual([]);
  });

  it("opens and answers offline after the first visit", async () => {
    const page = await openLocal();
    await page.evaluate("navigator.serviceWorker.ready");
    await context.setOffline(true);
    await page.reload();
    await page.locator(".cards button").first().waitFor();
    await send(page, "Who are you?");
    expect(await page.locator(".reply .error").allInnerTexts()).toEqual(["", ""]);
    expect(await page.locator(".reply .text").first().innerText()).not.toBe("");
    await context.setOffline(false);
    expect(asked).toEqual([]);
  });

  it("needs no API: from a static server, below its root, it opens with its model in it, offline too", async () => {
    const find = pageFiles();
    const fixed = await serveOnNode(
      async (request) => {
        const [, path] = /^\/chat(\/.*)$/.exec(new URL(request.url).pathname) ?? [];
        const file = path === undefined ? null : await find(path);
        if (file === null) return new Response("none", { status: 404 });
        return new Response(file.bytes, { headers: { "content-type": file.type } });
      },
      { host: "127.0.0.1", port: 0 },
    );
    const page = await openAt(`${fixed.origin}/chat/`);
    await ready(page);
    expect(new URL(page.url()).search).toBe("?local");
    await page.evaluate("navigator.serviceWorker.ready");
    await context.setOffline(true);
    await page.reload();
    await ready(page);
    await send(page, "Who are you?");
    expect(await page.locator(".reply .text").first().innerText()).not.toBe("");
    await page.close();
    await fixed.close(closed());
  });

  it("takes a folder of the visitor's, keeps a copy, and opens that offline", async () => {
    const page = await openLocal();
    await page.getByRole("button", { name: "Models…" }).click();
    await page.getByLabel("Keep a copy in this browser").check();
    await page.getByLabel(/^A folder of yours/).setInputFiles(join(root, "models", "capstan-tiny"));
    await ready(page);
    await send(page, "Who are you?");
    const texts = await page.locator(".reply .text").allInnerTexts();
    await page.evaluate("navigator.serviceWorker.ready");
    await context.setOffline(true);
    await page.reload();
    await ready(page);
    await page.getByRole("button", { name: "Models…" }).click();
    await page.getByRole("button", { name: "capstan-tiny", exact: true }).click();
    await ready(page);
    await send(page, "Who are you?");
    expect(await page.locator(".reply .text").allInnerTexts()).toEqual(texts);
    await context.setOffline(false);
    await page.getByRole("button", { name: "Models…" }).click();
    await page.getByRole("button", { name: "Remove capstan-tiny" }).click();
    await expect.poll(() => page.getByRole("button", { name: "Remove capstan-tiny" }).count()).toBe(0);
  });

  it("fetches a hub model with ?local=owner/model, keeps it, and opens the copy without the hub", async () => {
    await context.close();
    // Requests of a page under a service worker are not the test's to answer.
    context = await browser.newContext({ serviceWorkers: "block" });
    const fetched: string[] = [];
    await context.route("https://huggingface.co/**", async (route) => {
      const { pathname } = new URL(route.request().url());
      const [, name = ""] = /^\/acme\/tiny\/resolve\/main\/(.+)$/.exec(pathname) ?? [];
      const path = join(root, "models", "capstan-tiny", name);
      const headers = { "access-control-allow-origin": "*", "access-control-expose-headers": "*" };
      if (name === "" || !existsSync(path)) return await route.fulfill({ status: 404, headers });
      fetched.push(name);
      const bytes = readFileSync(path);
      const [, from, to] = /bytes=(\d+)-(\d+)/.exec(route.request().headers().range ?? "") ?? [];
      const [start, end] = [Number(from ?? 0), Math.min(Number(to ?? bytes.length - 1), bytes.length - 1)];
      const content_range = `bytes ${start}-${end}/${bytes.length}`;
      await route.fulfill({
        status: 206,
        headers: { ...headers, "content-range": content_range },
        body: bytes.subarray(start, end + 1),
      });
    });
    const page = await openAt(`${server.origin}/?local=acme/tiny`);
    await ready(page);
    expect(await page.locator("#where").innerText()).toContain("acme/tiny");
    expect(fetched).toContain("model.safetensors");
    await send(page, "Who are you?");
    const texts = await page.locator(".reply .text").allInnerTexts();
    await context.unroute("https://huggingface.co/**");
    await context.route("https://huggingface.co/**", (route) => route.abort());
    await page.goto(`${server.origin}/?local`);
    await ready(page);
    await page.getByRole("button", { name: "Models…" }).click();
    await page.getByRole("button", { name: "acme/tiny", exact: true }).click();
    await page.getByText("acme/tiny").waitFor();
    await ready(page);
    await send(page, "Who are you?");
    expect(await page.locator(".reply .text").allInnerTexts()).toEqual(texts);
  });

  it("says what is wrong with a model that does not load, and goes on with another", async () => {
    const page = await openLocal();
    await page.getByRole("button", { name: "Models…" }).click();
    await page.getByLabel(/^A folder of yours/).setInputFiles(join(root, "models", "capstan-tiny", "roles"));
    await page.getByRole("heading", { name: "The model could not be loaded" }).waitFor();
    expect(await page.locator("#welcome").innerText()).toContain("config.json");
    await page.getByRole("button", { name: "Choose a model" }).click();
    await page.getByRole("button", { name: /^The embedded model/ }).click();
    await ready(page);
    await send(page, "Who are you?");
  });

  it("asks for a key where the server wants one, and shows a pinned cap alone", async () => {
    const key = "a-key-of-this-test";
    const digest = await sha256(key);
    const guarded = await serve(({ models: { "capstan-tiny": tiny }, ...policy }) => ({
      ...policy,
      models: { "capstan-tiny": { ...tiny!, default_cap: "p50", pinned: true } },
      keys: { me: { sha256: digest } },
    }));
    const page = await openAt(`${guarded.origin}/`);
    await page.getByLabel(/^API key/).fill("wrong");
    await page.getByRole("button", { name: "Use it" }).click();
    await page.getByRole("alert").waitFor();
    await page.getByLabel(/^API key/).fill(key);
    await page.getByRole("button", { name: "Use it" }).click();
    await ready(page);
    await send(page, "Who are you?");
    expect(await page.locator(".reply-head strong").allInnerTexts()).toEqual(["Capped: p50"]);
    expect(await page.locator(".head select").isDisabled()).toBe(true);
    faults = faults.filter((fault) => !fault.includes("401"));
    await page.close();
    await guarded.close(closed());
  });

  it.each([
    ["light", 1280],
    ["dark", 1280],
    ["light", 390],
    ["dark", 390],
  ] as const)("has nothing that axe objects to, %s at %i pixels, and fits", async (scheme, width) => {
    await context.close();
    context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme: scheme });
    const page = await openLocal();
    expect(await page.evaluate("document.documentElement.dataset.theme")).toBe(scheme);
    const violations: string[] = await violationsOf(page, "the start");
    await page.getByRole("button", { name: "A code in the notes" }).click();
    await idle(page);
    violations.push(...(await violationsOf(page, "a conversation")));
    expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBeLessThanOrEqual(0);
    const [first, second] = await Promise.all(
      [0, 1].map((i) => page.locator("#turn-1 .reply").nth(i).boundingBox()),
    );
    if (width === 390) expect(second!.y).toBeGreaterThan(first!.y + first!.height);
    else expect(second!.x).toBeGreaterThan(first!.x + first!.width);
    await page.locator(".head").nth(1).locator("select").selectOption("Own cap");
    await page.getByRole("button", { name: "Edit turn 2" }).click();
    await page.getByText("Export").click();
    violations.push(...(await violationsOf(page, "menus")));
    await page.getByRole("button", { name: "Models…" }).click();
    violations.push(...(await violationsOf(page, "the dialog")));
    expect(violations).toEqual([]);
    await page.keyboard.press("Escape");
    const other = scheme === "dark" ? "light" : "dark";
    await page.getByRole("button", { name: `${other === "dark" ? "Dark" : "Light"} theme` }).click();
    await page.reload();
    expect(await page.evaluate("document.documentElement.dataset.theme")).toBe(other);
  });
});

async function openAt(address: string): Promise<Page> {
  const page = await context.newPage();
  page.on("pageerror", ({ message }) => faults.push(message));
  page.on("console", (message) => {
    // A static server answers 404 for files that a model folder may lack; the service worker asks the network first.
    const is_fault = message.type() === "error" && !/404|ERR_INTERNET_DISCONNECTED/.test(message.text());
    if (is_fault) faults.push(message.text());
  });
  await page.goto(address);
  return page;
}

async function open(): Promise<Page> {
  const page = await openAt(`${server.origin}/`);
  await ready(page);
  return page;
}

async function openLocal(): Promise<Page> {
  const page = await openAt(`${server.origin}/?local`);
  await ready(page);
  return page;
}

async function ready(page: Page): Promise<void> {
  await page.locator("#message").waitFor({ timeout: 60_000 });
}

async function send(page: Page, text: string): Promise<void> {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await idle(page);
}

/** Waits until nothing is written. */
async function idle(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Send", exact: true }).waitFor({ timeout: 60_000 });
  // The chart is drawn with the next frame.
  await page.evaluate(
    "new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))",
  );
}

/** Moves a slider. */
async function set(slider: ReturnType<Page["locator"]>, value: number): Promise<void> {
  await slider.fill(String(value));
}

async function exported(page: Page, name: string): Promise<{ name: string; path: string; text: string }> {
  await page.getByText("Export", { exact: true }).click();
  const [download] = (await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name, exact: true }).click(),
  ])) as [Download, unknown];
  const path = await download.path();
  return { name: download.suggestedFilename(), path, text: readFileSync(path, "utf8") };
}

/** What axe finds, a line each. */
async function violationsOf(page: Page, where: string): Promise<string[]> {
  await page.evaluate(axe_source);
  const { violations } = (await page.evaluate("axe.run()")) as {
    violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
  };
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${where}: ${id}: ${html.slice(0, 120)}: ${failureSummary}`),
  );
}
