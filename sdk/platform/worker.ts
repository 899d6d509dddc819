import { openWorkerDevice } from "../../core-wasm/worker/device.ts";
import type { WorkerPort } from "../../core-wasm/worker/port.ts";
import { CapstanError, type Device } from "../../models/index.ts";
import { codeUrl, isOnDisk } from "./assets.ts";
import { engine } from "./engine.ts";
import type { WorkerStart } from "./engine_worker.ts";
import { has_system, is_workerd, system } from "./system.ts";

/** How long a worker may take to start, in milliseconds. */
const MOST_START = 10_000;

let provided: URL | undefined;

/** Says where the worker's script lies, where it is not beside this file. */
export function provideEngineWorker(script: URL): void {
  provided = script;
}

/** Why the engine cannot run in a worker here; null where it can be tried. */
export function whyNoWorker(): string | null {
  if (is_workerd) return "workerd has none";
  if (!has_system) return "Worker" in globalThis ? null : "this runtime has none";
  const { features, versions } = system("node:process", "start a worker");
  const { typescript } = features as { typescript?: unknown };
  const runs_types = "deno" in versions || "bun" in versions || Boolean(typescript);
  if (provided !== undefined || runs_types || !isSource()) return null;
  return `Node ${versions.node} runs no TypeScript in one`;
}

/**
 * Whether the calling thread is one that should not be blocked: a program's own, or a page's. A Worker of a page is none:
 * it is off the page's thread already.
 */
export function isMainThread(): boolean {
  return has_system || "document" in globalThis;
}

/**
 * The CPU device in a worker of its own.
 *
 * @throws CapstanError `device_lost` where it does not start (its script is not there, a permission or a policy of the
 *   page is missing), `unsupported`; and what `engine` throws
 */
export async function openEngineWorker(): Promise<Device> {
  const lock = !has_system && "locks" in navigatorOf() ? `capstan ${crypto.randomUUID()}` : null;
  const port = has_system ? startSystemWorker() : startPageWorker(lock);
  const opening = openWorkerDevice(port);
  opening.catch(() => {});
  try {
    const start: WorkerStart = { engine: (await engine()).module, lock };
    port.post(start);
    return await inTime(opening);
  } catch (error) {
    await port.close();
    throw error;
  }
}

async function inTime(opening: Promise<Device>): Promise<Device> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const found = `none after ${MOST_START / 1000} s`;
    const parts = { action: "start a worker", need: "an answer", found };
    timer = setTimeout(() => reject(new CapstanError("device_lost", parts)), MOST_START);
  });
  try {
    return await Promise.race([opening, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A worker of `node:worker_threads`, which Node, Deno and Bun have alike. */
function startSystemWorker(): WorkerPort {
  const { Worker } = system("node:worker_threads", "start a worker");
  // Without this process's flags, of which some (--input-type) make no sense there, and without its environment, for
  // which Deno would ask.
  const worker = new Worker(systemScript(), { name: "capstan", execArgv: [], env: {} });
  let onClosed: (why: unknown) => void = () => {};
  worker.on("error", (error) => onClosed(error));
  worker.on("messageerror", (error) => onClosed(error));
  worker.on("exit", (code) => onClosed(`exit code ${code}`));
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer as readonly ArrayBuffer[]),
    onMessage: (call) => void worker.on("message", call),
    onClosed(call) {
      onClosed = call;
    },
    hold: (held) => (held ? worker.ref() : worker.unref()),
    close: async () => void (await worker.terminate()),
  };
}

/** Where the script lies: beside this file, as source or as built. */
function systemScript(): URL {
  const script = provided ?? new URL(`./engine_worker.${isSource() ? "ts" : "js"}`, codeUrl());
  if (!isOnDisk(script.href)) {
    // Deno has code from a server, and starts such workers from files and data alone.
    return new URL(`data:text/javascript,import ${JSON.stringify(script.href)};`);
  }
  // Asked for first: Deno prints the error of a worker without a script.
  const path = system("node:url", "start a worker").fileURLToPath(script);
  if (system("node:fs", "start a worker").existsSync(path)) return script;
  throw new CapstanError("unsupported", {
    action: "start a worker",
    need: "its script beside Capstan's code",
    found: `none at ${path}`,
    fix: "Bundle the program with the package capstan left outside.",
  });
}

function isSource(): boolean {
  return codeUrl().endsWith(".ts");
}

/** What a page has of its workers. */
interface PageWorker {
  onmessage: (event: { data: unknown }) => void;
  onerror: (event: { message?: string; preventDefault(): void }) => void;
  onmessageerror: () => void;
  postMessage(message: unknown, transfer: readonly ArrayBufferLike[]): void;
  terminate(): void;
}
declare const Worker: new (script: URL, options: { type: "module" }) => PageWorker;

function startPageWorker(lock: string | null): WorkerPort {
  // Spelled out: this is what bundlers look for.
  const worker = new Worker(new URL("./engine_worker.ts", import.meta.url), { type: "module" });
  let onClosed: (why: unknown) => void = () => {};
  const over = new AbortController();
  let is_watched = false;
  worker.onerror = (event) => {
    event.preventDefault();
    onClosed(event.message ?? "its script did not load");
    worker.terminate();
  };
  worker.onmessageerror = () => onClosed("a message that could not be read");
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    onMessage(call) {
      worker.onmessage = ({ data }) => {
        // Its first message came after it asked for the lock.
        if (lock !== null && !is_watched)
          whenFree(lock, over.signal, () => onClosed("an end without an error"));
        is_watched = true;
        call(data);
      };
    },
    onClosed(call) {
      onClosed = call;
    },
    hold() {},
    async close() {
      over.abort();
      worker.terminate();
    },
  };
}

interface Locks {
  request(name: string, options: { signal: AbortSignal }, hold: () => void): Promise<unknown>;
}

function navigatorOf(): { locks?: Locks } {
  return (globalThis as { navigator?: { locks?: Locks } }).navigator ?? {};
}

/** Calls back once a lock is free; rests when the signal aborts. */
function whenFree(lock: string, signal: AbortSignal, call: () => void): void {
  navigatorOf()
    .locks?.request(lock, { signal }, call)
    .catch(() => {});
}
