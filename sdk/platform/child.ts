import { CapstanError } from "../../models/index.ts";
import { runtime } from "./process.ts";
import { system } from "./system.ts";

/**
 * Runs this program anew in a process of its own, with other arguments, and waits for its end.
 *
 * @returns its stdout, and the times from its start to its first output and to its end
 * @throws CapstanError `internal` when it fails, with what it wrote to stderr
 */
export async function runSelf(
  args: readonly string[],
): Promise<{ stdout: string; first_output_ms: number; elapsed_ms: number }> {
  const action = `run capstan ${args[0]}`;
  const { spawn } = system("node:child_process", action);
  const process = system("node:process", action);
  const flags = runtime().name === "deno" ? ["run", "-A"] : process.execArgv;
  const start = performance.now();
  const child = spawn(process.execPath, [...flags, process.argv[1]!, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
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
