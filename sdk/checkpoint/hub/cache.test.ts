import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { lacks, python } from "../../../testing/parts.ts";
import { generate, load, pull } from "../../index.ts";
import { resolveSource } from "../source/index.ts";
import { serveHub } from "./fixtures/hub_server.ts";
import { COMMIT, codeOf, layout, useHub } from "./fixtures/use_hub.ts";

const hub = useHub();
const folderOf = (id: string) => join(hub.cache, `models--${id.replace("/", "--")}`);

describe("load", () => {
  const tiny = join(import.meta.dirname, "..", "..", "..", "models", "capstan-tiny");
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
    const elsewhere = join(hub.home, "elsewhere");
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
    expect(hub.server.hub.requests).toEqual([]);
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
    vi.stubEnv("HF_HOME", join(hub.home, "python"));
    vi.stubEnv("HF_HUB_DISABLE_XET", "1");
    await run(SNAPSHOT, "online", "v1.0");
    const { folder } = await pull("org/model@v1.0", { include: ["*"] });
    expect(folder).toContain("python");
    const theirs = layout(join(hub.home, "python", "hub", "models--org--model"));
    const kept = Object.entries(theirs).filter(([name]) => /^(blobs|refs|snapshots)\//.test(name));
    expect(Object.fromEntries(kept)).toEqual(ours);
  });
});
