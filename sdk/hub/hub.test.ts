import { execFile } from "node:child_process";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { lacks, python } from "../../conformance/testing/parts.ts";
import { generate, load, pull } from "../index.ts";
import { answer, answerCut, serve } from "../source/fixtures/server.ts";
import { resolveSource } from "../source/index.ts";
import { digestOf, type HubModel, type HubServer, serveHub } from "./fixtures/hub_server.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const OLDER = "89abcdef0123456789abcdef0123456789abcdef";
const text = (value: string) => new TextEncoder().encode(value);
const large = Uint8Array.from({ length: 400_000 }, (_, i) => (i * 31 + (i >> 7)) & 255);

const MODEL: HubModel = {
  commit: COMMIT,
  refs: { "v1.0": OLDER, "refs/pr/7": OLDER },
  files: {
    "config.json": text('{"model_type": "llama"}'),
    "README.md": text("# hello"),
    "empty.json": new Uint8Array(),
    "model.safetensors": large,
    "chat_template.jinja": text("{{ messages }}"),
    "onnx/model.onnx": large.slice(5),
    "onnx/config.json": text("{}"),
  },
};

let home: string;
let cache: string;
let server: HubServer;
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "capstan-hub-"));
  cache = join(home, "hub");
  server = await serveHub(
    {
      "org/model": MODEL,
      "org/gated": { ...MODEL, access: "gated" },
      "org/private": { ...MODEL, access: "private" },
      "org/new-name": MODEL,
    },
    { "org/old-name": "org/new-name" },
  );
  for (const name of [
    "HF_TOKEN",
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "HF_TOKEN_PATH",
  ]) {
    vi.stubEnv(name, undefined);
  }
  vi.stubEnv("HF_HOME", home);
  vi.stubEnv("HF_ENDPOINT", server.url);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await server[Symbol.asyncDispose]();
  rmSync(home, { recursive: true });
});

/** Every file of a folder, links with where they lead. */
function layout(folder: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(folder, path);
    if (entry.isSymbolicLink()) found[name] = `-> ${readlinkSync(path)}`;
    else if (entry.isFile())
      found[name] = name.startsWith("refs") ? readFileSync(path, "utf8") : `${statSync(path).size}`;
  }
  return found;
}

const folderOf = (id: string) => join(cache, `models--${id.replace("/", "--")}`);
const codeOf = async (promise: Promise<unknown>) => {
  const error: unknown = await promise.catch((thrown: unknown) => thrown);
  return error as { code: string; message: string };
};

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
    const asked = server.storage.requests.length + server.hub.requests.length;
    expect(await pull("org/model")).toMatchObject({ fetched_bytes: 0 });
    const more = server.storage.requests.length + server.hub.requests.length - asked;
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
    server.misbehave = (exchange, data) => {
      if (data.length < 10_000) return false;
      answerCut(exchange, data, 150_000);
      setTimeout(() => abort.abort(), 50);
      return true;
    };
    const error = await codeOf(pull("org/model", { signal: abort.signal }));
    expect(error.code).toBe("aborted");
    const unfinished = join(folderOf("org/model"), "blobs", `${digestOf(large)}.capstan.incomplete`);
    expect(statSync(unfinished).size).toBeGreaterThanOrEqual(150_000);
    expect(readdirSync(folderOf("org/model"))).not.toContain("refs");
    expect(() => lstatSync(join(folderOf("org/model"), "snapshots", COMMIT, "model.safetensors"))).toThrow();

    const asked = server.storage.requests.length;
    server.misbehave = null;
    const { folder } = await pull("org/model");
    expect(server.storage.requests.at(asked)!.range).toMatch(/^bytes=1[5-9]\d{4}-399999$/);
    expect(readFileSync(join(folder, "model.safetensors")).equals(large)).toBe(true);
    expect(readdirSync(join(folderOf("org/model"), "blobs")).filter((name) => name.includes("."))).toEqual(
      [],
    );
  });

  test("goes on after lost connections within a call", async () => {
    server.misbehave = (exchange, data) => {
      if (data.length < 10_000) return false;
      answerCut(exchange, data, 100_000);
      return true;
    };
    const { folder } = await pull("org/model");
    expect(readFileSync(join(folder, "model.safetensors")).equals(large)).toBe(true);
  });

  test("fetches anew what was damaged, and refuses what is wrong", async () => {
    const unfinished = join(folderOf("org/model"), "blobs", `${digestOf(large)}.capstan.incomplete`);
    mkdirSync(join(unfinished, ".."), { recursive: true });
    for (const damaged of [large.slice(1, 1000), new Uint8Array(500_000)]) {
      rmSync(join(folderOf("org/model"), "blobs", digestOf(large)), { force: true });
      writeFileSync(unfinished, damaged);
      const { folder } = await pull("org/model");
      expect(readFileSync(join(folder, "model.safetensors")).equals(large)).toBe(true);
    }
    rmSync(home, { recursive: true });
    server.misbehave = (exchange, data) => {
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
    expect(layout(home)).toEqual({});
  });

  test("takes a whole file from a server that knows no ranges", async () => {
    const unfinished = join(folderOf("org/model"), "blobs", `${digestOf(large)}.capstan.incomplete`);
    mkdirSync(join(unfinished, ".."), { recursive: true });
    writeFileSync(unfinished, large.subarray(0, 1000));
    server.misbehave = ({ response }, data) => {
      response.writeHead(200, { "content-length": data.length }).end(data);
      return true;
    };
    const { folder } = await pull("org/model");
    expect(readFileSync(join(folder, "model.safetensors")).equals(large)).toBe(true);
  });

  test("by several at once fetches each file once", async () => {
    server.misbehave = (exchange, data) => {
      setTimeout(() => answer(exchange, data), 100);
      return true;
    };
    const results = await Promise.all([pull("org/model"), pull("org/model"), pull("org/model")]);
    const large_requests = server.storage.requests.length;
    expect(large_requests).toBe(1);
    expect(results.reduce((sum, { fetched_bytes }) => sum + fetched_bytes, 0)).toBe(results[0]!.bytes);
    expect(layout(join(cache, ".locks"))).toEqual({});
  });

  test("does not show the token to the host of large files", async () => {
    vi.stubEnv("HF_TOKEN", "hf_good");
    await pull("org/private");
    expect(server.hub.requests.every(({ headers }) => headers.authorization === "Bearer hf_good")).toBe(true);
    expect(server.storage.requests).toHaveLength(1);
    expect(server.storage.requests[0]!.headers.authorization).toBeUndefined();
  });

  test("uses the token that Python's login kept", async () => {
    writeFileSync(join(home, "token"), "hf_good\n");
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
    expect(layout(home)).toEqual({});
  });
});

describe("load", () => {
  const tiny = join(import.meta.dirname, "../../models/capstan-tiny");
  const names = [
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
  ];
  const files = Object.fromEntries(
    names.map((name) => [name, new Uint8Array(readFileSync(join(tiny, name)))]),
  );
  const reply = async (source: string) => {
    await using model = await load(source);
    const messages = [{ role: "user", content: "Who are you?" }];
    const { tokens } = await generate(model, messages, { temperature: 0, max_tokens: 8 }).result;
    return [...tokens];
  };

  test("takes a hub model: fetched once, then also offline", async () => {
    await using tiny_hub = await serveHub({ "org/tiny": { commit: COMMIT, files } });
    vi.stubEnv("HF_ENDPOINT", tiny_hub.url);
    const stages = new Set<string>();
    await using model = await load("org/tiny", { on_progress: ({ stage }) => stages.add(stage) });
    expect(model.id).toBe("org/tiny");
    expect([...stages]).toEqual(["pull", "load"]);
    const expected = await reply("capstan-tiny");
    expect(await reply("org/tiny")).toEqual(expected);
    const asked = tiny_hub.hub.requests.length;
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    expect(await reply("org/tiny")).toEqual(expected);
    expect(await reply(`org/tiny@${COMMIT}`)).toEqual(expected);
    expect(tiny_hub.hub.requests).toHaveLength(asked);
    // A hub that cannot be reached is as good as none.
    vi.stubEnv("HF_HUB_OFFLINE", "");
    vi.stubEnv("HF_ENDPOINT", "http://127.0.0.1:9");
    expect(await reply("org/tiny")).toEqual(expected);
  });

  test("reads what Python left, wherever the environment puts it", async () => {
    const elsewhere = join(home, "elsewhere");
    const folder = join(elsewhere, "models--org--tiny");
    mkdirSync(join(folder, "refs"), { recursive: true });
    mkdirSync(join(folder, "snapshots", COMMIT), { recursive: true });
    writeFileSync(join(folder, "refs", "main"), COMMIT);
    for (const name of names) symlinkSync(join(tiny, name), join(folder, "snapshots", COMMIT, name));
    vi.stubEnv("HF_HUB_CACHE", elsewhere);
    vi.stubEnv("HF_HUB_OFFLINE", "yes");
    expect(await reply("org/tiny")).toEqual(await reply("capstan-tiny"));
  });

  test("says what is missing offline", async () => {
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    const error = await codeOf(resolveSource("org/tiny"));
    expect(error).toMatchObject({
      code: "not_found",
      message: expect.stringContaining("HF_HUB_OFFLINE is set"),
    });
    expect(error.message).toContain("capstan pull");
    expect(await codeOf(pull("org/tiny"))).toMatchObject({ code: "network" });
    expect(server.hub.requests).toEqual([]);
  });

  test("says that there is neither folder nor model", async () => {
    const error = await codeOf(load("models/captsan-tiny"));
    expect(error).toMatchObject({
      code: "not_found",
      message: expect.stringContaining("found no folder, and none"),
    });
  });
});

describe.skipIf(lacks("python"))("Python's huggingface_hub", () => {
  // Not spawnSync: the server answers from this process.
  const run = async (script: string, ...args: string[]): Promise<unknown> => {
    const { stdout } = await promisify(execFile)(python, ["-c", script, ...args], { timeout: 60_000 });
    return JSON.parse(stdout.trim().split("\n").at(-1)!);
  };
  const SNAPSHOT = `
import json, sys
from huggingface_hub import snapshot_download
local = sys.argv[1] == "local"
print(json.dumps(snapshot_download("org/model", revision=sys.argv[2], local_files_only=local, allow_patterns=sys.argv[3:] or None)))`;

  test("finds what was pulled, offline", async () => {
    const { folder } = await pull("org/model@v1.0", { include: ["*"] });
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    expect(await run(SNAPSHOT, "local", "v1.0")).toBe(folder);
  });

  test("fetches from the same server into the same layout", async () => {
    await pull("org/model@v1.0", { include: ["*"] });
    const ours = layout(folderOf("org/model"));
    vi.stubEnv("HF_HOME", join(home, "python"));
    vi.stubEnv("HF_HUB_DISABLE_XET", "1");
    await run(SNAPSHOT, "online", "v1.0");
    const { folder } = await pull("org/model@v1.0", { include: ["*"] });
    expect(folder).toContain("python");
    const theirs = layout(join(home, "python", "hub", "models--org--model"));
    const kept = Object.entries(theirs).filter(([name]) => /^(blobs|refs|snapshots)\//.test(name));
    expect(Object.fromEntries(kept)).toEqual(ours);
  });
});
