import { asFileError } from "./files.ts";
import { isGranted } from "./permissions.ts";
import { has_system, is_workerd, system } from "./system.ts";

/** The process and the machine it runs on, as Node and Deno both tell them; a page knows little of its own. */

const process = () => system("node:process", "ask the process");
const os = () => system("node:os", "ask the system");

/** Arguments after the program's name. */
export function argv(): string[] {
  return process().argv.slice(2);
}

/** An environment variable; an empty one counts as absent, and so does one that Deno may not show. */
export function env(name: string): string | undefined {
  const may_ask = has_system && isGranted({ name: "env", variable: name });
  return (may_ask && process().env[name]) || undefined;
}

export type Stream = "stdout" | "stderr";

export function isTty(stream: Stream): boolean {
  return process()[stream].isTTY === true;
}

/**
 * Writes text and waits until the stream took it. A reader that went away (`| head`) is no error.
 *
 * @throws CapstanError `bad_file` where the stream does not take it (a full disk)
 */
export function write(stream: Stream, text: string): Promise<void> {
  guard(stream);
  return new Promise((resolve, reject) => {
    const settle = (error?: unknown) => {
      if (error) failures.set(stream, error);
      if (!error || (error as { code?: unknown }).code === "EPIPE") resolve();
      else reject(asFileError("write to", stream, error));
    };
    // In Deno a stream that failed once answers nothing any more.
    if (failures.has(stream)) return settle(failures.get(stream));
    const to = process()[stream];
    const send = (stream === "stdout" ? writers.stdout : undefined) ?? to.write.bind(to);
    try {
      send(text, settle);
    } catch (error) {
      // Deno throws what Node gives the callback.
      settle(error);
    }
  });
}

/** What a stream failed by, which it does not recover from. */
const failures = new Map<Stream, unknown>();

const guarded = new Set<Stream>();

/** Without a listener a broken pipe would end the process before `write` hears of it. */
function guard(stream: Stream): void {
  if (guarded.has(stream)) return;
  guarded.add(stream);
  process()[stream].on("error", () => {});
}

/**
 * Keeps stdout for `write` alone: what a library prints there (`console.log`, a warning) goes to stderr, so that what a
 * machine reads stays whole.
 */
export function reserveStdout(): void {
  const { stdout, stderr } = process();
  writers.stdout ??= stdout.write.bind(stdout);
  stdout.write = stderr.write.bind(stderr);
  // Deno's console does not go by process.stdout.
  console.log = console.info = console.debug = console.error;
}

const writers: { stdout?: NodeJS.WriteStream["write"] } = {};

/** All bytes of stdin. Rejects with the signal's reason when that is aborted. */
export async function readStdin(signal: AbortSignal): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const { stdin } = process();
  const stop = () => stdin.destroy(signal.reason as Error);
  signal.throwIfAborted();
  signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const chunk of stdin) chunks.push(chunk as Uint8Array);
  } finally {
    signal.removeEventListener("abort", stop);
  }
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** The code the process will end with, once nothing is left to do. */
export function setExitCode(code: number): void {
  process().exitCode = code;
}

/** Ends the process now. Only for a second Ctrl-C: the first lets files be completed. */
export function exitNow(code: number): never {
  return process().exit(code);
}

/**
 * Calls `handler` on Ctrl-C (SIGINT) and SIGTERM instead of ending the process.
 *
 * @returns a function that gives the signals back to the system
 */
export function onInterrupt(handler: (signal: "SIGINT" | "SIGTERM") => void): () => void {
  const onInt = () => handler("SIGINT");
  const onTerm = () => handler("SIGTERM");
  process().on("SIGINT", onInt);
  process().on("SIGTERM", onTerm);
  return () => {
    process().off("SIGINT", onInt);
    process().off("SIGTERM", onTerm);
  };
}

/**
 * Calls `handler` on SIGHUP, by which a server is asked to read its configuration again. Windows has none.
 *
 * @returns a function that gives the signal back to the system
 */
export function onHangup(handler: () => void): () => void {
  process().on("SIGHUP", handler);
  return () => void process().off("SIGHUP", handler);
}

/**
 * Bytes: what the process may still allocate, what the machine has, and what the process holds. `assumed` where the
 * machine's are not shown (to Deno without `--allow-sys`).
 */
export function memory(): { available: number; total: number; resident: number; assumed?: true } {
  if (is_workerd) return WORKERD_MEMORY;
  if (!has_system) return pageMemory();
  // The rest of memoryUsage() takes some milliseconds to find, and not every runtime can leave it out.
  const { memoryUsage } = process() as { memoryUsage: { (): { rss: number }; rss?: () => number } };
  const resident = memoryUsage.rss?.() ?? memoryUsage().rss;
  if (!isGranted({ name: "sys", kind: "systemMemoryInfo" }))
    return { ...UNKNOWN_MEMORY, resident, assumed: true };
  const ask = process() as { availableMemory?: () => number; constrainedMemory?: () => number };
  const total = os().totalmem();
  const limit = ask.constrainedMemory?.() ?? 0;
  return {
    available: ask.availableMemory?.() || os().freemem(),
    // Without a limit some systems report 0, others an absurd one.
    total: limit > 0 && limit < total ? limit : total,
    resident,
  };
}

/** Bytes: the most that the process has held so far; 0 where no process can be asked. */
export function peakResident(): number {
  return has_system ? process().resourceUsage().maxRSS * 1024 : 0;
}

/** What a worker may hold in production, code and all; a model and its cache get half of it at most. */
const WORKERD_MEMORY = { available: 64 * 2 ** 20, total: 128 * 2 ** 20, resident: 0 };

/** What is taken for the memory of a machine that Deno may not show. */
const UNKNOWN_MEMORY = { available: 2 * 2 ** 30, total: 4 * 2 ** 30 };

/** A page is given the machine's memory at most, in coarse steps up to 8 GiB; half of it counts as free. */
function pageMemory(): ReturnType<typeof memory> {
  const { deviceMemory = 4 } = (globalThis as { navigator?: { deviceMemory?: number } }).navigator ?? {};
  const total = deviceMemory * 2 ** 30;
  return { available: total / 2, total, resident: 0 };
}

export function cpu(): { count: number; model: string } {
  const may_ask = isGranted({ name: "sys", kind: "cpus" });
  const model = may_ask ? os().cpus()[0]?.model.trim() : undefined;
  return { count: os().availableParallelism(), model: model || "unknown processor" };
}

/** Milliseconds of processor time the process has used so far, all its threads together. */
export function cpuTime(): number {
  const { user, system } = process().cpuUsage();
  return (user + system) / 1000;
}

export interface Runtime {
  name: "node" | "deno" | "bun";
  version: string;
}

/** Deno and Bun say who they are in `process.versions`, as Node does. */
export function runtime(): Runtime {
  const { deno, bun, node } = process().versions as Record<string, string | undefined>;
  if (deno !== undefined) return { name: "deno", version: deno };
  if (bun !== undefined) return { name: "bun", version: bun };
  return { name: "node", version: node ?? "unknown" };
}

/** The address of the page (or of the Worker's script) this runs in; undefined where there is none. */
export function pageUrl(): string | undefined {
  if (has_system) return undefined;
  return (globalThis as { location?: { href: string } }).location?.href;
}

/** `node 20.20.2`, `deno 2.9.6`, `chrome 156`, `workerd` (which tells no version). */
export function runtimeName(): string {
  if (is_workerd) return "workerd";
  if (!has_system) return browserName();
  const { name, version } = runtime();
  return `${name} ${version}`;
}

function browserName(): string {
  const { userAgent = "" } = (globalThis as { navigator?: { userAgent?: string } }).navigator ?? {};
  // Safari tells its version under another name; every other's name is before its version.
  const [, name, version] = /(Firefox|Edg|Chrome|Version)\/(\d+)/.exec(userAgent) ?? [];
  if (name === undefined) return "browser";
  return `${name === "Version" ? "safari" : name.toLowerCase()} ${version}`;
}

/** Whether the system lets this process do anything (root), which some programs refuse to be started by. */
export function isAdministrator(): boolean {
  return process().getuid?.() === 0;
}

/** `linux x64` */
export function systemName(): string {
  return `${process().platform} ${process().arch}`;
}

/** Lines of stdin as they come; ends with the input or the signal. */
export async function* readLines(signal: AbortSignal): AsyncGenerator<string, void, undefined> {
  const { createInterface } = system("node:readline", "read lines");
  const lines = createInterface({ input: process().stdin, terminal: false });
  const close = () => lines.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    for await (const line of lines) yield line;
  } finally {
    signal.removeEventListener("abort", close);
    lines.close();
  }
}
