import { execFileSync } from "node:child_process";
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { pull } from "../../index.ts";
import { answer, answerCut, serve } from "../source/fixtures/server.ts";
import { digestOf } from "./fixtures/hub_server.ts";
import { COMMIT, codeOf, large, layout, MODEL, OLDER, useHub } from "./fixtures/use_hub.ts";

const hub = useHub();
const folderOf = (id: string) => join(hub.cache, `models--${id.replace("/", "--")}`);

describe("pull", () => {
  test("fetches what load reads, in Python's layout", async () => {
    const seen: number[] = [];
    const result = await pull("org/model", {
      on_progress: ({ done, total }) => {
        seen.push(done);
        expect(done).toBeLessThanOrEqual(total);
      },
    });
    const files = [
      "chat_template.jinja",
      "config.json",
      "empty.json",
      "model.safetensors",
      "onnx/config.json",
    ];
    const bytes = files.reduce((sum, name) => sum + MODEL.files[name]!.length, 0);
    expect(result).toEqual({
      id: "org/model",
      revision: "main",
      commit: COMMIT,
      folder: join(folderOf("org/model"), "snapshots", COMMIT),
      files,
      bytes,
      fetched_bytes: bytes,
    });
    const blobs = files.map((name) => [
      `blobs/${digestOf(MODEL.files[name]!)}`,
      `${MODEL.files[name]!.length}`,
    ]);
    const links = files.map((name) => [
      `snapshots/${COMMIT}/${name}`,
      `-> ${name.includes("/") ? "../" : ""}../../blobs/${digestOf(MODEL.files[name]!)}`,
    ]);
    expect(layout(folderOf("org/model"))).toEqual({
      "refs/main": COMMIT,
      ...Object.fromEntries([...blobs, ...links]),
    });
    expect(readFileSync(join(result.folder, "model.safetensors")).equals(large)).toBe(true);
    expect(seen.at(-1)).toBe(bytes);
  });

  test("fetches nothing that is there", async () => {
    await pull("org/model");
    const asked = hub.server.storage.requests.length + hub.server.hub.requests.length;
    expect(await pull("org/model")).toMatchObject({ fetched_bytes: 0 });
    const more = hub.server.storage.requests.length + hub.server.hub.requests.length - asked;
    expect(more).toBe(1 + 3);
    expect(await pull("org/model@v1.0", { include: ["*"] })).toMatchObject({
      commit: OLDER,
      fetched_bytes: 400_000 - 5 + 7,
    });
  });

  test("takes branches, tags, commits, and patterns", async () => {
    const revision = await pull("org/model@refs/pr/7", { include: ["README.md", "onnx/"] });
    expect(revision).toMatchObject({
      commit: OLDER,
      files: ["README.md", "onnx/config.json", "onnx/model.onnx"],
    });
    expect(readFileSync(join(folderOf("org/model"), "refs/refs/pr/7"), "utf8")).toBe(OLDER);
    const commit = await pull(`org/model@${COMMIT}`, { include: ["[a-c]*.json"] });
    expect(commit.files).toEqual(["config.json"]);
    const none = await codeOf(pull("org/model", { include: ["*.gguf"] }));
    expect(none).toMatchObject({ code: "not_found", message: expect.stringContaining("found 7 others") });
  });

  test("goes on where it was interrupted, and leaves what is whole", async () => {
    const abort = new AbortController();
    let answers = 0;
    hub.server.misbehave = (exchange, data) => {
      if (data.length < 10_000) return false;
      if (answers++ > 0) abort.abort();
      answerCut(exchange, data, 150_000);
      return true;
    };
    const error = await codeOf(pull("org/model", { signal: abort.signal }));
    expect(error.code).toBe("aborted");
    const unfinished = join(folderOf("org/model"), "blobs", `${digestOf(large)}.capstan.incomplete`);
    const { size } = statSync(unfinished);
    expect(size).toBeGreaterThanOrEqual(150_000);
    expect(readdirSync(folderOf("org/model"))).not.toContain("refs");
    expect(() => lstatSync(join(folderOf("org/model"), "snapshots", COMMIT, "model.safetensors"))).toThrow();

    const asked = hub.server.storage.requests.length;
    hub.server.misbehave = null;
    const { folder } = await pull("org/model");
    expect(hub.server.storage.requests.at(asked)!.range).toBe(`bytes=${size}-399999`);
    expect(readFileSync(join(folder, "model.safetensors")).equals(large)).toBe(true);
    expect(readdirSync(join(folderOf("org/model"), "blobs")).filter((name) => name.includes("."))).toEqual(
      [],
    );
  });

  test("goes on after lost connections within a call", async () => {
    hub.server.misbehave = (exchange, data) => {
      if (data.length < 10_000) return false;
      answerCut(exchange, data, 100_000);
      return true;
    };
    const { folder } = await pull("org/model");
    expect(readFileSync(join(folder, "model.safetensors")).equals(large)).toBe(true);
  });

  test("fetches again what was damaged, and refuses what is wrong", async () => {
    const unfinished = join(folderOf("org/model"), "blobs", `${digestOf(large)}.capstan.incomplete`);
    mkdirSync(join(unfinished, ".."), { recursive: true });
    for (const damaged of [large.slice(1, 1000), new Uint8Array(500_000)]) {
      rmSync(join(folderOf("org/model"), "blobs", digestOf(large)), { force: true });
      writeFileSync(unfinished, damaged);
      const { folder } = await pull("org/model");
      expect(readFileSync(join(folder, "model.safetensors")).equals(large)).toBe(true);
    }
    rmSync(hub.home, { recursive: true });
    hub.server.misbehave = (exchange, data) => {
      answer(
        exchange,
        data.map((byte) => byte ^ 1),
      );
      return true;
    };
    const wrong = await codeOf(pull("org/model", { include: ["model.safetensors"] }));
    expect(wrong).toMatchObject({
      code: "digest_mismatch",
      message: expect.stringContaining("fetch model.safetensors"),
    });
    expect(layout(hub.home)).toEqual({});
  });

  test("takes a whole file from a server that knows no ranges", async () => {
    const unfinished = join(folderOf("org/model"), "blobs", `${digestOf(large)}.capstan.incomplete`);
    mkdirSync(join(unfinished, ".."), { recursive: true });
    writeFileSync(unfinished, large.subarray(0, 1000));
    hub.server.misbehave = ({ response }, data) => {
      response.writeHead(200, { "content-length": data.length }).end(data);
      return true;
    };
    const { folder } = await pull("org/model");
    expect(readFileSync(join(folder, "model.safetensors")).equals(large)).toBe(true);
  });

  test("by several at once fetches each file once", async () => {
    hub.server.misbehave = (exchange, data) => {
      setTimeout(() => answer(exchange, data), 100);
      return true;
    };
    const results = await Promise.all([pull("org/model"), pull("org/model"), pull("org/model")]);
    const large_requests = hub.server.storage.requests.length;
    expect(large_requests).toBe(1);
    expect(results.reduce((sum, { fetched_bytes }) => sum + fetched_bytes, 0)).toBe(results[0]!.bytes);
    expect(layout(join(hub.cache, ".locks"))).toEqual({});
  });

  test("does not show the token to the host of large files", async () => {
    vi.stubEnv("HF_TOKEN", "hf_good");
    await pull("org/private");
    expect(hub.server.hub.requests.every(({ headers }) => headers.authorization === "Bearer hf_good")).toBe(
      true,
    );
    expect(hub.server.storage.requests).toHaveLength(1);
    expect(hub.server.storage.requests[0]!.headers.authorization).toBeUndefined();
  });

  test.each([
    ["an inner line break", "hf_SECRET\nX-Evil: 1", "a line break at place 10"],
    ["a space", "hf_SECRET hf_OTHER", "character U+0020 at place 10"],
    ["a zero-width space", "hf_SECRET\u200bX", "character U+200b at place 10"],
  ])("with %s in the token says so once, asks nobody and does not show it", async (_, token, found) => {
    vi.stubEnv("HF_TOKEN", token);
    const failed: unknown = await pull("org/private").catch((error: unknown) => error);
    const error = await codeOf(Promise.reject(failed));
    expect(error.code).toBe("access_denied");
    expect(error.message).toContain(`read the token of HF_TOKEN: need a token of printable ASCII`);
    expect(error.message).toContain(`found ${found}. Copy it again`);
    expect(inspect(failed, { depth: 9 })).not.toMatch(/SECRET|OTHER/);
    expect(hub.server.hub.requests).toHaveLength(0);
  });

  test("does not show a token that the hub sends back", async () => {
    vi.stubEnv("HF_TOKEN", "hf_SECRET");
    await using echo = await serve(({ request, response }) => {
      const sent = request.headers.authorization ?? "";
      response.writeHead(403, { "x-error-message": `no: ${sent}` }).end(sent);
    });
    vi.stubEnv("HF_ENDPOINT", echo.url);
    const failed: unknown = await pull("org/model").catch((error: unknown) => error);
    expect(failed).toMatchObject({
      code: "access_denied",
      message: expect.stringContaining("Bearer (hidden)"),
    });
    expect(inspect(failed, { depth: 9 })).not.toContain("SECRET");
  });

  test.each(["not a url", "ftp://127.0.0.1/", "http://user:SECRET@127.0.0.1/"])(
    "from the endpoint %j is a bad request that shows no password",
    async (endpoint) => {
      vi.stubEnv("HF_ENDPOINT", endpoint);
      const error = await codeOf(pull("org/model"));
      expect(error).toMatchObject({ code: "bad_request", message: expect.stringContaining("HF_ENDPOINT") });
      expect(error.message).not.toContain("SECRET");
    },
  );

  test("of an answer without end gives up, however it is called", { timeout: 60_000 }, async () => {
    let sent = 0;
    await using endless = await serve(({ response }) => {
      response.writeHead(200, { "content-type": "application/json" });
      const chunk = Buffer.alloc(2 ** 20, "[");
      const more = () => {
        while (!response.destroyed && sent < 2 ** 28 && response.write(chunk)) sent += chunk.length;
        if (!response.destroyed) response.once("drain", more);
      };
      more();
    });
    vi.stubEnv("HF_ENDPOINT", endless.url);
    expect(await codeOf(pull("org/model"))).toMatchObject({
      code: "bad_file",
      message: expect.stringContaining("an answer of at most 33554432 bytes"),
    });
    expect(sent).toBeLessThan(2 ** 27);
  });

  test("into a cache that nobody may write in works when all of it is there", async () => {
    const { folder } = await pull("org/model");
    const made = layout(hub.cache);
    const frozen = execFileSync("find", [hub.cache, "-type", "d"], { encoding: "utf8" }).trim().split("\n");
    const before = frozen.map((path) => statSync(path).mtimeMs);
    expect((await pull("org/model")).folder).toBe(folder);
    expect(layout(hub.cache)).toEqual(made);
    // Not even a temporary file was made and renamed.
    expect(frozen.map((path) => statSync(path).mtimeMs)).toEqual(before);
  });

  test("uses the token that Python's login kept", async () => {
    writeFileSync(join(hub.home, "token"), "hf_good\n");
    expect((await pull("org/gated")).files).toHaveLength(5);
  });

  test.each([
    ["org/nothing", "", "not_found", "A private one needs HF_TOKEN"],
    ["org/nothing", "hf_good", "not_found", "need a model of that name"],
    ["org/private", "", "not_found", "found none for the public (status 401)"],
    ["org/gated", "", "access_denied", "access to a gated model"],
    ["org/model", "hf_bad", "access_denied", "need a valid token, found one the hub refuses"],
    ["org/model@v9", "", "not_found", 'revision "v9", found none of that name'],
  ])("of %s with the token %j is explained", async (id, token, code, words) => {
    vi.stubEnv("HF_TOKEN", token);
    const error = await codeOf(pull(id));
    expect(error).toMatchObject({ code, message: expect.stringContaining(words) });
    expect(error.message).not.toContain("hf_bad");
  });

  test("of a renamed model says so, and keeps the name that was asked for", async () => {
    const result = await pull("org/old-name");
    expect(result).toMatchObject({ id: "org/old-name", renamed_to: "org/new-name" });
    expect(result.folder).toBe(join(folderOf("org/old-name"), "snapshots", COMMIT));
  });

  test.each(["", "a/b/c", "../x", "a b/c", "org/model@", "org/../x", "https://x/y", "org/model@../../x"])(
    "of %j is a bad request",
    async (name) => expect((await codeOf(pull(name))).code).toBe("bad_request"),
  );

  test.each([
    ["a file outside", [{ type: "file", path: "../../x", size: 1, oid: "0".repeat(40) }]],
    ["a digest that is a path", [{ type: "file", path: "config.json", size: 1, oid: "../x" }]],
    ["a size that is none", [{ type: "file", path: "config.json", size: -1, oid: "0".repeat(40) }]],
    ["no list", { error: "x" }],
    ["no JSON", "<html>"],
  ])("refuses a listing with %s", async (_, listing) => {
    await using evil = await serve(({ path, response }) => {
      const body = path.includes("/tree/") ? listing : { id: "org/model", sha: COMMIT };
      response.writeHead(200).end(typeof body === "string" ? body : JSON.stringify(body));
    });
    vi.stubEnv("HF_ENDPOINT", evil.url);
    expect((await codeOf(pull("org/model"))).code).toBe("bad_file");
    expect(layout(hub.home)).toEqual({});
  });
});
