import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { rolldown } from "rolldown";
import {
  askWorker,
  type RunningWorkerd,
  runInWorker,
  startWorkerd,
} from "../../conformance/hosts/workerd_host.ts";
import { type LocalServer, serveLocally } from "../../sdk/platform/index.ts";
import { root, type TestRuntime } from "./runtimes.ts";

/** A workerd with a worker of ours, and the repository served to it. */
export interface TestWorkerd extends AsyncDisposable {
  /** Where `conformance/reference/` and `models/` are served. */
  readonly origin: string;
  /** Where the worker answers. */
  readonly address: string;
  /** What the worker answers a post of JSON with. */
  ask(body: unknown): Promise<unknown>;
  /** The result of a task, where its worker runs tasks. */
  run: TestRuntime["run"];
}

/** @param entry the worker's module, bundled as an application's bundler would */
export async function openWorkerd(entry: string): Promise<TestWorkerd> {
  const folder = mkdtempSync(join(tmpdir(), "capstan-workerd-"));
  const config = await bundleInto(folder, entry);
  const folders = ["models", "conformance/reference"].map((name) => [`/${name}/`, join(root, name)]);
  const server: LocalServer = await serveLocally({ folders: Object.fromEntries(folders) });
  const workerd: RunningWorkerd = await startWorkerd(config);
  return {
    origin: server.origin,
    address: workerd.origin,
    ask: async (body) => JSON.parse(await askWorker(workerd, JSON.stringify(body))),
    run: async (name, args) => (await runInWorker(workerd, { name, args })) as never,
    async [Symbol.asyncDispose]() {
      await workerd[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** As a runtime of tasks: each is a request of its own to the one worker. */
export async function openTaskWorkerd(): Promise<TestRuntime & { origin: string }> {
  return await openWorkerd(join(root, "testing", "runtimes", "worker_workerd.ts"));
}

/** Lays a worker out as the product's own lies in dist/, and runs it by the same config. */
async function bundleInto(folder: string, entry: string): Promise<string> {
  const bundle = await rolldown({
    input: { worker: entry },
    platform: "neutral",
    external: [/\.wasm$/, "vega", "vega-lite"],
    resolve: { mainFields: ["module", "main"], conditionNames: ["workerd", "import", "default"] },
  });
  const paths = (name: string) => (name.endsWith(".wasm") ? `../pkg/${basename(name)}` : name);
  await bundle.write({ dir: join(folder, "js"), format: "es", codeSplitting: false, paths });
  await bundle.close();
  mkdirSync(join(folder, "pkg"));
  for (const module of ["core-wasm/pkg/capstan_core_bg.wasm", "core-wasm/text/pkg/capstan_text.wasm"])
    copyFileSync(join(root, module), join(folder, "pkg", basename(module)));
  const template = readFileSync(join(root, "conformance", "hosts", "workerd.capnp"), "utf8");
  const module = '(name = "js/worker.js", esModule = embed "js/worker.js"),';
  const config = join(folder, "workerd.capnp");
  writeFileSync(config, template.replace(/# The modules of the worker .*/, module));
  return config;
}
