import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { digestOf, type HubServer, serveHub } from "../sdk/checkpoint/hub/fixtures/hub_server.ts";
import { answer } from "../sdk/checkpoint/source/fixtures/server.ts";
import { deno_path } from "../testing/parts.ts";

/** `capstan pull` as processes: interrupted, killed, side by side. */

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const large = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 31 + (i >> 7)) & 255);
const files = { "config.json": new TextEncoder().encode("{}"), "model.safetensors": large };

let home: string;
let server: HubServer;
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "capstan-pull-"));
  server = await serveHub({ "org/model": { commit: COMMIT, files } });
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(home, { recursive: true });
});

const folder = () => join(home, "hub", "models--org--model");
const unfinished = () => join(folder(), "blobs", `${digestOf(large)}.capstan.incomplete`);

function start(...args: string[]): ChildProcess {
  const env = { PATH: process.env.PATH, HF_HOME: home, HF_ENDPOINT: server.url };
  const command = ["run", "-A", "--no-lock", "bin/capstan.ts", "pull", "org/model", "--json", ...args];
  return spawn(deno_path, command, { cwd: join(import.meta.dirname, ".."), env });
}

async function ended(child: ChildProcess): Promise<{ code: number | null; stdout: string; stderr: string }> {
  let stdout = "";
  let stderr = "";
  child.stdout!.on("data", (data) => (stdout += data));
  child.stderr!.on("data", (data) => (stderr += data));
  return await new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}

/** Sends the large file's first part, and then nothing more. */
function stall(): void {
  server.misbehave = (exchange, data) => {
    if (data !== large) return false;
    const { response } = exchange;
    response.end = ((body: Uint8Array) => response.write(body.subarray(0, 1_000_000))) as never;
    answer(exchange, data);
    return true;
  };
}

async function untilBegun(): Promise<void> {
  const size = () => statSync(unfinished(), { throwIfNoEntry: false })?.size ?? 0;
  while (size() < 1_000_000) await new Promise((resolve) => setTimeout(resolve, 20));
}

function expectWhole(): void {
  const path = join(folder(), "snapshots", COMMIT, "model.safetensors");
  expect(readFileSync(path).equals(large)).toBe(true);
  expect(readdirSync(join(folder(), "blobs")).sort()).toEqual(Object.values(files).map(digestOf).sort());
}

describe("capstan pull", () => {
  it.each([
    ["Ctrl-C", "SIGINT", 130],
    ["a kill", "SIGKILL", null],
  ] as const)("after %s goes on where it was", async (_, signal, code) => {
    stall();
    const first = start();
    const over = ended(first);
    await untilBegun();
    first.kill(signal);
    const result = await over;
    expect(result.code).toBe(code);
    if (code !== null) expect(JSON.parse(result.stdout)).toMatchObject({ error: { code: "aborted" } });
    server.misbehave = null;
    const second = await ended(start());
    expect(second).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(second.stdout)).toMatchObject({
      fetched_bytes: expect.toSatisfy((n) => n <= 2_000_002),
    });
    expectWhole();
  });

  it("by two processes fetches each file once", async () => {
    server.misbehave = (exchange, data) => {
      setTimeout(() => answer(exchange, data), 300);
      return true;
    };
    const both = await Promise.all([ended(start()), ended(start())]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    expect(server.storage.requests).toHaveLength(1);
    expectWhole();
  });

  it("fetches what --include names, and nothing else", async () => {
    const { code, stdout } = await ended(start("--include", "*.json", "*.txt"));
    expect([code, JSON.parse(stdout).fetched_bytes]).toEqual([0, 2]);
    expect(readdirSync(join(folder(), "snapshots", COMMIT))).toEqual(["config.json"]);
  });

  it("of a model that is not there exits with 1 and one line", async () => {
    const { code, stderr } = await ended(
      spawn(deno_path, ["run", "-A", "--no-lock", "bin/capstan.ts", "pull", "org/none"], {
        cwd: join(import.meta.dirname, ".."),
        env: { PATH: process.env.PATH, HF_HOME: home, HF_ENDPOINT: server.url },
      }),
    );
    expect([code, stderr.trim().split("\n").length]).toEqual([1, 1]);
    expect(stderr).toContain("need a model of that name");
  });
});
