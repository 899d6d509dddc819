import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cap, checkFits, load, readAxis } from "../../sdk/index.ts";
import { sha256 } from "../../sdk/platform/index.ts";
import { Caps } from "../../sdk/science/index.ts";
import { deno_path } from "../../testing/parts.ts";
import { buildDist, root } from "../../testing/runtimes/runtimes.ts";
import { eventsOf, user } from "../fixtures/client.ts";
import { axis, CAPPED, files, model, strong } from "../fixtures/tiny.ts";
import type { LogEntry } from "../log.ts";

/** `capstan serve`, `capstan policy` and `capstan page` as processes, in Node and in Deno. */

const scratch = mkdtempSync(join(tmpdir(), "capstan-serve-"));
afterAll(() => rmSync(scratch, { recursive: true }));
const file = (name: string) => join(scratch, name);
const COMMANDS = {
  node: [process.execPath, join(root, "bin", "capstan.mjs")],
  deno: [deno_path, "run", "-A", "--no-lock", join(root, "bin", "capstan.ts")],
} as const;

beforeAll(() => {
  buildDist();
  for (const name of [CAPPED.axis, CAPPED.caps.strong.file, CAPPED.caps.weak.file])
    writeFileSync(file(name), files(name));
});

interface Running {
  origin: string;
  child: ChildProcess;
  log: LogEntry[];
  ended: Promise<number | null>;
}

async function serve(
  runtime: keyof typeof COMMANDS,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Running> {
  const [program, ...first] = COMMANDS[runtime];
  const child = spawn(program, [...first, "serve", ...args], {
    cwd: scratch,
    env: { ...process.env, ...env, NO_COLOR: "1" },
  });
  const log: LogEntry[] = [];
  let rest = "";
  child.stderr.on("data", (chunk) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (line.startsWith("{")) log.push(JSON.parse(line));
  });
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  let stdout = "";
  const origin = await new Promise<string>((resolve, reject) => {
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(stdout);
      if (found !== null && stdout.endsWith("\n")) resolve(found[0]);
    });
    ended.then((code) => reject(new Error(`ended with ${code}: ${stdout}`)));
  });
  return { origin, child, log, ended };
}

const post = (
  origin: string,
  body: object,
  headers: Record<string, string> = {},
  signal: AbortSignal | null = null,
) =>
  fetch(`${origin}/v1/chat/completions`, {
    signal,
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
const bias = Object.fromEntries([...model.spec.eos_token_ids].map((id) => [id, -100]));
const long = {
  messages: user("Tell me a story."),
  max_tokens: 300,
  temperature: 1,
  seed: 1,
  logit_bias: bias,
};

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("it did not come");
}

describe.each(["node", "deno"] as const)("capstan serve in %s", (runtime) => {
  it("serves a policy, reads it again on SIGHUP without losing a stream, and drains on SIGTERM", async () => {
    const policy = (rules: object) =>
      writeFileSync(
        file("policy.json"),
        JSON.stringify({ models: { tiny: { source: "capstan-tiny", ...rules } } }),
      );
    policy({ ...CAPPED, pinned: true });
    const { origin, child, log, ended } = await serve(runtime, [
      "--policy",
      "policy.json",
      "--port",
      "0",
      "--host",
      "127.0.0.1",
      "--json",
    ]);
    const lifted = { messages: user("Hi"), max_tokens: 2, capstan: { cap: false } };
    expect((await post(origin, lifted)).status).toBe(403);
    const streaming = await post(origin, { ...long, stream: true });
    expect(streaming.headers.get("x-capstan-cap")).toBe("strong");
    policy({ ...CAPPED });
    child.kill("SIGHUP");
    await until(() => log.some(({ message }) => message === "policy read again"));
    expect((await post(origin, lifted)).status).toBe(200);
    writeFileSync(file("policy.json"), "{");
    child.kill("SIGHUP");
    await until(() => log.some(({ message }) => message?.startsWith("the old policy stays") === true));
    expect((await post(origin, lifted)).status).toBe(200);
    expect(eventsOf(await streaming.text()).at(-1).choices[0].finish_reason).toBe("length");
    const last = await post(origin, { ...long, stream: true });
    child.kill("SIGTERM");
    await until(() => log.some(({ message }) => message?.startsWith("draining") === true));
    const refused = await post(origin, long).then(
      ({ status }) => status,
      () => "no connection",
    );
    expect([503, "no connection"]).toContain(refused);
    expect(eventsOf(await last.text()).at(-1).choices[0].finish_reason).toBe("length");
    expect(await ended).toBe(143);
    expect(log.at(-1)!.message).toBe("drained");
  });

  it("ends what a client has left, streamed or not", async () => {
    const { origin, child, ended } = await serve(runtime, ["--port", "0"]);
    const running = async () => {
      const metrics = await (await fetch(`${origin}/metrics`)).text();
      return Number(/state="running"\} (\d+)/.exec(metrics)![1]);
    };
    for (const stream of [true, false]) {
      const left = new AbortController();
      const asked = post(origin, { ...long, max_tokens: 900, stream }, {}, left.signal).catch(() => null);
      for (let i = 0; i < 500 && (await running()) === 0; i++)
        await new Promise((resolve) => setTimeout(resolve, 10));
      expect(await running()).toBe(1);
      left.abort();
      await asked;
      for (let i = 0; i < 500 && (await running()) > 0; i++)
        await new Promise((resolve) => setTimeout(resolve, 10));
      expect(await running()).toBe(0);
    }
    child.kill("SIGTERM");
    expect(await ended).toBe(143);
  });

  it("serves one model without a policy, with the key of the environment", async () => {
    const flags =
      "--cap strong.cap.safetensors --axis axis.safetensors --pinned --model capstan-tiny --device wasm --dtype f32 --n_ctx 512 --port 0";
    const { origin, child, ended, log } = await serve(runtime, flags.split(" "), {
      CAPSTAN_API_KEY: "sk-secret",
    });
    const body = { messages: user("Hi"), max_tokens: 2 };
    const key = { authorization: "Bearer sk-secret" };
    expect((await post(origin, body)).status).toBe(401);
    const answer = await post(origin, body, key);
    expect([answer.status, answer.headers.get("x-capstan-cap")]).toEqual([200, "cap"]);
    expect((await post(origin, { ...body, capstan: { cap: false } }, key)).status).toBe(403);
    const { data } = (await (await fetch(`${origin}/v1/models`, { headers: key })).json()) as {
      data: object[];
    };
    expect(data).toMatchObject([{ id: "capstan-tiny", capstan: { dtype: "f32", n_ctx: 512, pinned: true } }]);
    child.kill("SIGINT");
    expect(await ended).toBe(130);
    expect(JSON.stringify(log)).not.toContain("sk-secret");
  });
});

describe("hosts", () => {
  const statusFor = (origin: string, host: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const { port } = new URL(origin);
      get({ port, host: "127.0.0.1", path: "/v1/models", headers: { host } }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      }).on("error", reject);
    });

  it.each([
    ["node", [], "localhost:80", "evil.example"],
    ["deno", [], "localhost:80", "evil.example"],
    ["node", ["--hosts", "chat.example,127.0.0.1"], "chat.example", "localhost"],
  ] as const)("are those of loopback in %s, or of %j", async (runtime, flags, own, foreign) => {
    const { origin, child, ended } = await serve(runtime, ["--port", "0", ...flags]);
    expect([await statusFor(origin, own), await statusFor(origin, foreign)]).toEqual([200, 403]);
    child.kill("SIGTERM");
    expect(await ended).toBe(143);
  });
});

describe("without a policy", () => {
  it("offers the axis and the caps that lie in the model's folder, and the page that shows them", async () => {
    const { origin, child, ended } = await serve("node", ["--device", "wasm", "--port", "0"]);
    const { data } = (await (await fetch(`${origin}/v1/models`)).json()) as { data: object[] };
    expect(data).toMatchObject([
      { capstan: { caps: ["p50"], default_cap: null, pinned: false, axis: { target_layer: 4 } } },
    ]);
    const body = { messages: user("Hi"), max_tokens: 2 };
    expect((await post(origin, body)).headers.get("x-capstan-cap")).toBe("none");
    const capped = await post(origin, { ...body, capstan: { cap: "p50" } });
    expect([capped.status, capped.headers.get("x-capstan-cap")]).toEqual([200, "p50"]);
    for (const path of [
      "/",
      "/page/page.js",
      "/page/style.css",
      "/pkg/capstan_core_bg.wasm",
      "/service_worker.js",
    ])
      expect((await fetch(`${origin}${path}`)).status, path).toBe(200);
    child.kill("SIGTERM");
    expect(await ended).toBe(143);
  });

  it("the embedded model's cap is what `capstan cap` makes of its axis, and both are of that model", async () => {
    const folder = join(root, "models", "capstan-tiny");
    const axis = await readAxis(join(folder, "axis.safetensors"));
    expect(cap(axis).toBytes()).toEqual(new Uint8Array(readFileSync(join(folder, "p50.cap.safetensors"))));
    const model = await load("capstan-tiny", { device: "wasm" });
    expect(checkFits(model, axis, "axis")).toEqual([]);
    await model.dispose();
  });
});

describe("capstan page", () => {
  it("writes the page as a folder", () => {
    const [program, ...first] = COMMANDS.node;
    const { status, stdout } = spawnSync(program, [...first, "page", "site", "--json"], {
      cwd: scratch,
      encoding: "utf8",
    });
    expect(status).toBe(0);
    const { files } = JSON.parse(stdout) as { files: string[] };
    expect(files).toEqual(
      expect.arrayContaining(["index.html", "page/page.js", "models/capstan-tiny/config.json"]),
    );
    for (const name of files)
      expect(readFileSync(join(scratch, "site", name)).length, name).toBeGreaterThan(0);
  });
});

describe("deno serve", () => {
  it("serves the default export", async () => {
    const entry = join(root, "edge-worker", "entries", "deno.ts");
    const child = spawn(
      deno_path,
      ["serve", "-A", "--no-lock", "--host", "127.0.0.1", "--port", "0", entry],
      {
        cwd: root,
        env: { ...process.env, NO_COLOR: "1", CAPSTAN_MODEL: "capstan-tiny" },
      },
    );
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (said += chunk));
    await until(() => /http:\/\/[^\s/]+:\d+/.test(said));
    const origin = /http:\/\/[^\s/]+:\d+/.exec(said)![0].replace("0.0.0.0", "127.0.0.1");
    expect((await post(origin, { messages: user("Hi"), max_tokens: 2 })).status).toBe(200);
    child.kill("SIGKILL");
  });
});

describe("capstan policy", () => {
  const run = (...args: string[]) => {
    const [program, ...first] = COMMANDS.node;
    return spawnSync(program, [...first, "policy", ...args], { cwd: scratch, encoding: "utf8" });
  };

  const write = (rules: object) =>
    writeFileSync(
      file("policy.json"),
      JSON.stringify({ models: { tiny: { source: "capstan-tiny", ...rules } } }),
    );

  it("checks a policy, the model and the files that it names", () => {
    write({ ...CAPPED, pinned: true });
    const { status, stdout, stderr } = run("check", "policy.json", "--json");
    expect(status, stderr).toBe(0);
    const made_on = { id: model.id, digest: model.digest };
    expect(JSON.parse(stdout)).toMatchObject({
      models: {
        tiny: {
          ...made_on,
          axis: axis.digest,
          caps: { strong: { layers: { start: 3, end: 6 }, percentile: null, made_on }, weak: { made_on } },
        },
      },
      keys: [],
      policy: { models: { tiny: { pinned: true } } },
    });
  });

  const { data } = strong;
  const remade = (change: Partial<typeof data>) => new Caps({ ...data, ...change }).toBytes();
  const damaged = strong.toBytes();
  damaged[damaged.length - 5]! ^= 1;
  const CAP = { caps: { x: { file: "x.cap.safetensors" } } };
  it.each([
    ["a pinned cap that it lacks", { pinned: true }, null, /models\.tiny\.pinned/],
    ["an axis file that is not there", { axis: "gone.safetensors" }, null, /gone\.safetensors/],
    ["a source that is not there", { source: "./no-model" }, null, /no-model/],
    ["a damaged cap", CAP, damaged, /x\.cap\.safetensors: need the content of content_digest/],
    [
      "a cap of another model",
      CAP,
      remade({ model: { id: "x", digest: "sha256:1" } }),
      /models\.tiny\.caps\.x of the model's own digest/,
    ],
    ["a cap of another depth", CAP, remade({ n_layers: 99 }), /need one of \d+ layers and d_model/],
  ] as const)("refuses one with %s", (_, rules, cap, message) => {
    if (cap !== null) writeFileSync(file("x.cap.safetensors"), cap);
    write(rules);
    expect(run("check", "policy.json")).toMatchObject({ status: 1, stderr: expect.stringMatching(message) });
  });

  it("makes keys that the policy's digests are of", async () => {
    const { key, sha256: digest } = JSON.parse(run("key", "--json").stdout);
    expect(key).toMatch(/^sk-[0-9a-f]{48}$/);
    expect(digest).toBe(await sha256(key));
  });
});
