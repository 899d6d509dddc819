import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import { build as esbuild } from "esbuild";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { bun_path, deno_path, lacks } from "../../testing/parts.ts";
import { buildDist, root } from "../../testing/runtimes/runtimes.ts";
import { useBuiltWorker } from "../../testing/worker.ts";
import { generate } from "./generate.ts";
import { load } from "./load.ts";

const TINY = { device: "wasm" } as const;
const GREEDY = { temperature: 0, max_tokens: 24 };
const ask = [{ role: "user", content: "Who are you?" }];

describe("load, from sources that Node 20 runs in no worker", () => {
  it("runs on the calling thread without a word, and with a warning where a worker was asked for", async () => {
    await using quiet = await load("capstan-tiny", TINY);
    expect([quiet.device.description, quiet.warnings]).toEqual(["WASM SIMD, 1 thread", []]);
    await using asked = await load("capstan-tiny", { ...TINY, worker: true });
    expect(asked.device.description).toBe("WASM SIMD, 1 thread");
    expect(asked.warnings).toEqual([
      expect.stringMatching(
        /^The engine runs on the calling thread, in small steps: no worker, for Node .* runs no TypeScript/,
      ),
    ]);
  });

  it("refuses a worker that is no boolean", async () => {
    await expect(load("capstan-tiny", { worker: "yes" as never })).rejects.toMatchObject({
      code: "bad_request",
      message: expect.stringContaining("worker"),
    });
  });
});

describe("load in a worker", () => {
  /** The workers that were started, as Node has them. */
  const workers: Worker[] = [];
  beforeAll(() => {
    useBuiltWorker();
    const threads = process.getBuiltinModule("node:worker_threads") as { Worker: typeof Worker };
    threads.Worker = class extends threads.Worker {
      constructor(...of: ConstructorParameters<typeof Worker>) {
        super(...of);
        workers.push(this);
      }
    };
  });
  beforeEach(() => void workers.splice(0));

  it("is what a library's load does, and gives what the calling thread gives", async () => {
    await using there = await load("capstan-tiny", TINY);
    await using here = await load("capstan-tiny", { ...TINY, worker: false });
    expect([there.device.description, there.warnings]).toEqual(["WASM SIMD, 1 thread, in a worker", []]);
    expect(here.device.description).toBe("WASM SIMD, 1 thread");
    expect(await generate(there, ask, GREEDY).result).toEqual(await generate(here, ask, GREEDY).result);
    const forward = { capture: ["blocks.3.hook_resid_post"], logits: "last" } as const;
    const tokens = Array.from({ length: 700 }, (_, i) => 300 + (i % 500));
    const [a, b] = [await there.forward(tokens, forward), await here.forward(tokens, forward)];
    const bytes = ({ logits, captures }: typeof a) =>
      [logits, ...Object.values(captures)].map(({ buffer }) => Buffer.from(buffer).toString("base64"));
    expect(bytes(a)).toEqual(bytes(b));
    expect(a.captures["blocks.3.hook_resid_post"]!.length).toBe(700 * there.spec.d_model);
    expect(workers.length).toBe(1);
  });

  it("ends its worker when the model is disposed of, or when it fails", async () => {
    const model = await load("capstan-tiny", TINY);
    const ended = [new Promise((resolve) => workers[0]!.once("exit", resolve))];
    await model.dispose();
    const signal = AbortSignal.abort();
    const progress = { on_progress: () => workers[1] };
    await expect(load("capstan-tiny", { ...TINY, signal, ...progress })).rejects.toMatchObject({
      code: "aborted",
    });
    const folder = mkdtempSync(join(tmpdir(), "capstan-damaged-"));
    cpSync(join(root, "models", "capstan-tiny"), folder, { recursive: true });
    const weights = readFileSync(join(folder, "model.safetensors"));
    writeFileSync(join(folder, "model.safetensors"), weights.fill(0xff, weights.length - 4));
    await expect(load(folder, TINY)).rejects.toMatchObject({ code: "bad_weights" });
    rmSync(folder, { recursive: true });
    for (const worker of workers.slice(1)) {
      if (worker.threadId !== -1) ended.push(new Promise((resolve) => worker.once("exit", resolve)));
    }
    await Promise.all(ended);
  });

  it("whose worker is killed in the middle of a step is device_lost to all callers, and can be loaded again", async () => {
    const model = await load("capstan-tiny", TINY);
    const session = await model.session();
    const replies = [1, 2, 3].map((seed) => generate(model, ask, { ...GREEDY, seed, max_tokens: 400 }));
    const results = replies.map(({ result }) => result.catch((error: unknown) => error));
    for await (const _ of replies[0]!) {
      // A step, and the one after it, are on their way.
      void workers[0]!.terminate();
      break;
    }
    const [left, ...lost] = await Promise.all(results);
    expect(left).toMatchObject({ finish_reason: "abort" });
    for (const error of lost) {
      expect(error).toMatchObject({ code: "device_lost", message: expect.stringContaining("exit code 1") });
    }
    await expect(model.forward([1, 2, 3])).rejects.toMatchObject({ code: "device_lost" });
    await expect(session.forward([1, 2, 3])).rejects.toMatchObject({ code: "device_lost" });
    await session.dispose();
    await model.dispose();
    await using again = await load("capstan-tiny", TINY);
    await using here = await load("capstan-tiny", { ...TINY, worker: false });
    expect((await generate(again, ask, GREEDY).result).text).toBe(
      (await generate(here, ask, GREEDY).result).text,
    );
  });
});

describe("a program that never disposes of its model", () => {
  const scratch = mkdtempSync(join(tmpdir(), "capstan-worker-"));
  afterAll(() => rmSync(scratch, { recursive: true }));

  const program = (sdk: string) => `
    import { generate, load } from ${JSON.stringify(sdk)};
    const model = await load(${JSON.stringify(join(root, "models/capstan-tiny"))}, { device: "wasm" });
    const { tokens } = await generate(model, ${JSON.stringify(ask)}, ${JSON.stringify(GREEDY)}).result;
    console.log(JSON.stringify({ ran: model.device.description, warnings: model.warnings, tokens: [...tokens] }));`;

  function run(command: string, args: readonly string[]) {
    const { status, stdout, stderr } = spawnSync(command, args, { cwd: scratch, encoding: "utf8" });
    expect(status, stderr).toBe(0);
    return { ...(JSON.parse(stdout) as { ran: string; warnings: string[]; tokens: number[] }), stderr };
  }

  function write(name: string, text: string): string {
    writeFileSync(join(scratch, name), text);
    return join(scratch, name);
  }

  let expected: number[];
  beforeAll(async () => {
    buildDist();
    await using model = await load("capstan-tiny", { ...TINY, worker: false });
    expected = [...(await generate(model, ask, GREEDY).result).tokens];
  });

  const built = () => write("main.mjs", program(join(root, "dist/js/index.js")));
  const source = () => write("main.ts", program(join(root, "sdk/index.ts")));
  const IN_WORKER = { ran: "WASM SIMD, 1 thread, in a worker", warnings: [], stderr: "" };

  it("ends by itself in Node", () => {
    expect(run(process.execPath, [built()])).toEqual({ ...IN_WORKER, tokens: expected });
  });

  it.skipIf(lacks("deno"))("ends by itself in Deno, from the sources, with --allow-read alone", () => {
    const args = ["run", "--no-lock", "--no-prompt", "--allow-read", "--config", join(root, "deno.json")];
    expect(run(deno_path, [...args, source()])).toEqual({ ...IN_WORKER, tokens: expected });
  });

  it.skipIf(lacks("bun"))("ends by itself in Bun", () => {
    expect(run(bun_path, [built()])).toEqual({ ...IN_WORKER, tokens: expected });
  });

  it("runs on the calling thread, and says why, where Node may start no worker", () => {
    const { ran, warnings, tokens } = run(process.execPath, [
      ...["--experimental-permission", "--allow-fs-read=*"],
      built(),
    ]);
    expect([ran, tokens]).toEqual(["WASM SIMD, 1 thread", expected]);
    expect(warnings).toEqual([expect.stringMatching(/in small steps: no worker started \(.*restricted/)]);
  });

  it("runs on the calling thread, and says why, in a bundle that left the worker's script behind", async () => {
    const out = join(scratch, "bundle", "out");
    await esbuild({
      entryPoints: [built()],
      bundle: true,
      format: "esm",
      platform: "node",
      outfile: join(out, "main.mjs"),
      external: ["vega", "vega-lite", "@resvg/resvg-js"],
      logLevel: "error",
    });
    cpSync(join(root, "dist", "pkg"), join(scratch, "bundle", "pkg"), { recursive: true });
    const { ran, warnings, tokens } = run(process.execPath, [join(out, "main.mjs")]);
    expect([ran, tokens]).toEqual(["WASM SIMD, 1 thread", expected]);
    expect(warnings).toEqual([expect.stringMatching(/no worker started \(none at .*engine_worker.js\)/)]);
  });
});
