import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { createApp } from "../app.ts";
import { assetPage } from "../entries/bindings.ts";
import type { ErrorBody } from "../errors.ts";
import { model } from "../fixtures/tiny.ts";
import type { FindPageFile } from "./page.ts";

const text = new TextEncoder();
const html = text.encode(`<!doctype html>${"page ".repeat(100)}`);
const weights = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
const asked: string[] = [];
const page: FindPageFile = async (path) => {
  asked.push(path);
  if (path === "/") return { bytes: html, type: "text/html; charset=utf-8" };
  return path === "/w.bin" ? { bytes: weights, type: "application/octet-stream" } : null;
};
const app = createApp({ models: { tiny: model }, page });

describe("the page's files", () => {
  it("come with a strict policy, which lets the hub in only where the model runs in the page", async () => {
    const response = await app.request("/");
    const policy = response.headers.get("content-security-policy")!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("connect-src 'self';");
    expect(policy).not.toContain("unsafe-inline");
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    const local = await app.request("/?local=a/b");
    expect(local.headers.get("content-security-policy")).toContain(
      "connect-src 'self' https://huggingface.co",
    );
  });

  it("are sent packed where that is taken, and not at all where they are known", async () => {
    const packed = await app.request("/", { headers: { "accept-encoding": "br, gzip" } });
    expect(packed.headers.get("content-encoding")).toBe("gzip");
    expect(new Uint8Array(gunzipSync(await packed.arrayBuffer()))).toEqual(html);
    const etag = packed.headers.get("etag")!;
    for (const known of [etag, `"x", W/${etag}`]) {
      const again = await app.request("/", { headers: { "if-none-match": known } });
      expect([again.status, await again.text()]).toEqual([304, ""]);
    }
    const binary = await app.request("/w.bin", { headers: { "accept-encoding": "gzip" } });
    expect(binary.headers.get("content-encoding")).toBe(null);
  });

  it.each([
    ["bytes=0-9", 206, "bytes 0-9/1000", 10],
    ["bytes=990-", 206, "bytes 990-999/1000", 10],
    ["bytes=-5", 206, "bytes 995-999/1000", 5],
    ["bytes=900-5000", 206, "bytes 900-999/1000", 100],
    ["bytes=1000-", 416, "bytes */1000", 0],
    ["bytes=5-2", 416, "bytes */1000", 0],
    ["bytes=0-1,5-6", 200, null, 1000],
    ["lines=1-2", 200, null, 1000],
  ])("of range %s are answered %i", async (range, status, content_range, length) => {
    const response = await app.request("/w.bin", { headers: { range } });
    const bytes = new Uint8Array(await response.arrayBuffer());
    expect([response.status, response.headers.get("content-range"), bytes.length]).toEqual([
      status,
      content_range,
      length,
    ]);
    if (status === 206)
      expect(bytes[0]).toBe(weights[1000 - length === 0 ? 0 : Number(content_range!.split(/[ -]/)[1])]);
  });

  it("are the ones that there are: anything else is the API's 404, and the API is never asked for in them", async () => {
    for (const path of ["/none", "/page/../package.json", "/%2e%2e/package.json", "/__proto__"]) {
      const response = await app.request(path);
      expect([response.status, ((await response.json()) as ErrorBody).error.code]).toEqual([
        404,
        "unknown_url",
      ]);
    }
    asked.length = 0;
    expect((await app.request("/v1/none")).status).toBe(404);
    expect((await app.request("/v1/models")).status).toBe(200);
    expect(asked).toEqual([]);
    expect((await app.request("/", { method: "POST" })).status).toBe(404);
    const head = await app.request("/w.bin", { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });

  it("come from a worker's assets as well", async () => {
    const bound = createApp({
      models: { tiny: model },
      page: assetPage(
        {
          fetch: async (url) =>
            url === "https://assets.local/site/"
              ? new Response(Uint8Array.from(html), { headers: { "content-type": "text/html" } })
              : new Response(null, { status: 404 }),
        },
        "site",
      ),
    });
    const response = await bound.request("/");
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/html"]);
    expect((await bound.request("/none")).status).toBe(404);
  });

  it("are none where an app is given none", async () => {
    const bare = createApp({ models: { tiny: model } });
    expect((await bare.request("/")).status).toBe(404);
  });
});
