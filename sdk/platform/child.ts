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
