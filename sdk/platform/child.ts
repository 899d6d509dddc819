import { itemAt } from "../../models/certain.ts";
import { CapstanError } from "../../models/index.ts";
import { runtime } from "./process.ts";
import { system } from "./system.ts";

/** What a process printed, and the times from its start to its first output (NaN without one) and to its end. */
export interface TimedRun {
  stdout: string;
  first_output_ms: number;
  elapsed_ms: number;
}

/**
 * Runs this program again in a process of its own, with other arguments, and waits for its end.
 *
 * @throws CapstanError `internal` when it fails, with what it wrote to stderr
 */
export async function runSelf(args: readonly string[]): Promise<TimedRun> {
  const action = `run capstan ${args[0]}`;
  const { argv, execArgv } = system("node:process", action);
  const flags = runtime().name === "deno" ? ["run", "-A"] : execArgv;
  return await timed([...flags, itemAt(argv, 1), ...args], action);
}

/**
 * Runs a line of JavaScript in a process of its own, by this runtime; one with `import` as a module.
 *
 * @throws CapstanError `internal` when it fails, with what it wrote to stderr
 */
export async function runCode(code: string): Promise<TimedRun> {
  const { name } = runtime();
  const as_module = name === "node" && code.includes("import") ? ["--input-type=module"] : [];
  const flags = name === "deno" ? ["eval"] : [...as_module, "-e"];
  return await timed([...flags, code], `run ${code}`);
}

async function timed(args: readonly string[], action: string): Promise<TimedRun> {
  const { spawn } = system("node:child_process", action);
  const { execPath } = system("node:process", action);
  const start = performance.now();
  const child = spawn(execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let first_output_ms = Number.NaN;
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    if (stdout === "") first_output_ms = performance.now() - start;
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject).on("close", resolve);
  });
  if (code === 0) return { stdout, first_output_ms, elapsed_ms: performance.now() - start };
  throw new CapstanError("internal", {
    action,
    need: "exit code 0",
    found: `${code}: ${stderr.trim().replace(/\.$/, "")}`,
  });
}

/**
 * Runs another program and waits for its end.
 *
 * @param signal ends it when aborted
 * @returns its exit code, null where there is no such program or a signal ended it, and what it wrote
 */
export async function runProgram(
  command: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { spawn } = system("node:child_process", `run ${command}`);
  const child = spawn(command, [...args], { stdio: ["ignore", "pipe", "pipe"], signal });
  const texts = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => {
      texts[stream] += text;
    });
  }
  const code = await new Promise<number | null>((resolve) => {
    child.on("error", () => resolve(null)).on("close", resolve);
  });
  return { code, ...texts };
}

/** A program that runs until it is disposed of. */
export interface RunningProgram extends AsyncDisposable {
  /** Rejects once the program ended, with the last line it wrote to stderr. */
  readonly ended: Promise<never>;
  /** The first line of stdout that the pattern finds something in: what it found. */
  readLine(pattern: RegExp): Promise<RegExpExecArray>;
}

/** Starts a program that serves until nobody wants it any more. */
export function startProgram(command: string, args: readonly string[], action: string): RunningProgram {
  const { spawn } = system("node:child_process", action);
  const child = spawn(command, [...args], { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  const listeners = new Set<() => void>();
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    for (const listener of listeners) listener();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-10_000);
  });
  const closed = new Promise<string>((resolve) => {
    child.on("error", ({ message }) => resolve(message));
    child.on("close", (code, signal) => resolve(`its end (${code ?? signal})`));
  });
  const ended = closed.then((how): never => {
    const last = stderr.trim().split("\n").at(-1) ?? "";
    const found = last === "" ? how : `${how}: ${last}`;
    throw new CapstanError("unsupported", { action, need: `${command} to run on`, found });
  });
  ended.catch(() => {});
  const readLine = (pattern: RegExp) => {
    const line = new Promise<RegExpExecArray>((resolve) => {
      const look = () => {
        const found = pattern.exec(stdout);
        if (found === null) return;
        listeners.delete(look);
        resolve(found);
      };
      listeners.add(look);
      look();
    });
    return Promise.race([line, ended]);
  };
  return {
    ended,
    readLine,
    async [Symbol.asyncDispose]() {
      child.kill();
      await closed;
    },
  };
}

/** The first of these programs that is there: names are looked for in PATH; undefined where there is none. */
export async function findProgram(names: readonly string[]): Promise<string | undefined> {
  const { env, platform } = system("node:process", "find a program");
  const { access } = system("node:fs/promises", "find a program");
  const { delimiter, isAbsolute, join } = system("node:path", "find a program");
  const folders = (env.PATH ?? "").split(delimiter);
  const endings = platform === "win32" ? ["", ".exe", ".cmd"] : [""];
  const paths = names.flatMap((name) =>
    (isAbsolute(name) ? [name] : folders.map((folder) => join(folder, name))).flatMap((path) =>
      endings.map((ending) => path + ending),
    ),
  );
  const is_there = (path: string) =>
    access(path).then(
      () => true,
      () => false,
    );
  for (const path of paths) if (await is_there(path)) return path;
  return undefined;
}
