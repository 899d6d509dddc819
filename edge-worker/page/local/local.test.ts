import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { lacks } from "../../../testing/parts.ts";
import { root } from "../../../testing/runtimes/runtimes.ts";
import { pageFiles } from "../../cli/page_files.ts";
import { serveOnNode } from "../../entries/node.ts";
import { ready, send, set, Visitor } from "../fixtures/visitor.ts";

describe.skipIf(lacks("chromium"))("the page with its model in it", () => {
  const visitor = new Visitor();

  it("runs the model in itself with ?local: nothing is asked of the API, caps are free, steering steers", async () => {
    const page = await visitor.openLocal();
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
    expect(visitor.asked).toEqual([]);
  });

  it("opens and answers offline after the first visit", async () => {
    const page = await visitor.openLocal();
    await page.evaluate("navigator.serviceWorker.ready");
    await visitor.context.setOffline(true);
    await page.reload();
    await page.locator(".cards button").first().waitFor();
    await send(page, "Who are you?");
    expect(await page.locator(".reply .error").allInnerTexts()).toEqual(["", ""]);
    expect(await page.locator(".reply .text").first().innerText()).not.toBe("");
    await visitor.context.setOffline(false);
    expect(visitor.asked).toEqual([]);
  });

  it("needs no API: from a static server, below its root, it opens with its model in it, offline too", async () => {
    const find = pageFiles();
    const fixed = await serveOnNode(
      async (request) => {
        const [, path] = /^\/chat(\/.*)$/.exec(new URL(request.url).pathname) ?? [];
        const file = path === undefined ? null : await find(path);
        if (file === null) return new Response("none", { status: 404 });
        return new Response(Uint8Array.from(file.bytes), { headers: { "content-type": file.type } });
      },
      { host: "127.0.0.1", port: 0 },
    );
    const page = await visitor.openAt(`${fixed.origin}/chat/`);
    await ready(page);
    expect(new URL(page.url()).search).toBe("?local");
    await page.evaluate("navigator.serviceWorker.ready");
    await visitor.context.setOffline(true);
    await page.reload();
    await ready(page);
    await send(page, "Who are you?");
    expect(await page.locator(".reply .text").first().innerText()).not.toBe("");
    await page.close();
    await fixed.close(AbortSignal.abort());
  });

  it("takes a folder of the visitor's, keeps a copy, and opens that offline", async () => {
    const page = await visitor.openLocal();
    await page.getByRole("button", { name: "Models…" }).click();
    await page.getByLabel("Keep a copy in this browser").check();
    await page.getByLabel(/^A folder of yours/).setInputFiles(join(root, "models", "capstan-tiny"));
    await ready(page);
    await send(page, "Who are you?");
    const texts = await page.locator(".reply .text").allInnerTexts();
    await page.evaluate("navigator.serviceWorker.ready");
    await visitor.context.setOffline(true);
    await page.reload();
    await ready(page);
    await page.getByRole("button", { name: "Models…" }).click();
    await page.getByRole("button", { name: "capstan-tiny", exact: true }).click();
    await ready(page);
    await send(page, "Who are you?");
    expect(await page.locator(".reply .text").allInnerTexts()).toEqual(texts);
    await visitor.context.setOffline(false);
    await page.getByRole("button", { name: "Models…" }).click();
    await page.getByRole("button", { name: "Remove capstan-tiny" }).click();
    await expect.poll(() => page.getByRole("button", { name: "Remove capstan-tiny" }).count()).toBe(0);
  });

  it("fetches a hub model with ?local=owner/model, keeps it, and opens the copy without the hub", async () => {
    // Requests of a page under a service worker are not the test's to answer.
    await visitor.renew({ serviceWorkers: "block" });
    const fetched: string[] = [];
    await visitor.context.route("https://huggingface.co/**", async (route) => {
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
    const page = await visitor.openAt(`${visitor.server.origin}/?local=acme/tiny`);
    await ready(page);
    expect(await page.locator("#where").innerText()).toContain("acme/tiny");
    expect(fetched).toContain("model.safetensors");
    await send(page, "Who are you?");
    const texts = await page.locator(".reply .text").allInnerTexts();
    await visitor.context.unroute("https://huggingface.co/**");
    await visitor.context.route("https://huggingface.co/**", (route) => route.abort());
    await page.goto(`${visitor.server.origin}/?local`);
    await ready(page);
    await page.getByRole("button", { name: "Models…" }).click();
    await page.getByRole("button", { name: "acme/tiny", exact: true }).click();
    await page.getByText("acme/tiny").waitFor();
    await ready(page);
    await send(page, "Who are you?");
    expect(await page.locator(".reply .text").allInnerTexts()).toEqual(texts);
  });

  it("says what is wrong with a model that does not load, and goes on with another", async () => {
    const page = await visitor.openLocal();
    await page.getByRole("button", { name: "Models…" }).click();
    await page.getByLabel(/^A folder of yours/).setInputFiles(join(root, "models", "capstan-tiny", "roles"));
    await page.getByRole("heading", { name: "The model could not be loaded" }).waitFor();
    expect(await page.locator("#welcome").innerText()).toContain("config.json");
    await page.getByRole("button", { name: "Choose a model" }).click();
    await page.getByRole("button", { name: /^The embedded model/ }).click();
    await ready(page);
    await send(page, "Who are you?");
  });
});
