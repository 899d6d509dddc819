import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { resultOfText, toJson } from "../../conformance/hosts/task.ts";
import { itemAt, lastOf } from "../../models/certain.ts";
import { bun_path, deno_path, vulkan_icds } from "../parts.ts";
import type { TaskArgs, TaskName, TaskResult } from "./tasks.ts";

export const root: string = join(import.meta.dirname, "..", "..");

/** A runtime that runs tasks of `testing/runtimes`. */
export interface TestRuntime extends AsyncDisposable {
  run<Name extends TaskName>(name: Name, args: TaskArgs<Name>): Promise<TaskResult<Name>>;
}

/** A runtime in processes of their own. */
export interface ChildRuntime extends TestRuntime {
  /** What the command prints. */
  capstan(...args: string[]): Promise<string>;
}

/** Node, from what is built for npm; its Vulkan is SwiftShader. */
export function nodeRuntime(): ChildRuntime {
  buildDist();
  return childRuntime([process.execPath], "dist/testing/main.js", "bin/capstan.mjs", "swiftshader");
}

/** Deno, from the sources; its Vulkan is lavapipe. */
export function denoRuntime(): ChildRuntime {
  const deno = [deno_path, "run", "-A", "--no-lock"];
  return childRuntime(deno, "testing/runtimes/main.ts", "bin/capstan.ts", "lavapipe");
}

/** Bun, from what is built for npm. */
export function bunRuntime(): ChildRuntime {
  buildDist();
  return childRuntime([bun_path], "dist/testing/main.js", "bin/capstan.mjs", "swiftshader");
}

/** Brings dist/ up to the sources; nothing where it is. */
export function buildDist(): void {
  const { status, stderr } = spawnSync(process.execPath, ["scripts/build.mjs"], {
    cwd: root,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`build failed: ${stderr}`);
}

function childRuntime(
  runtime: readonly string[],
  tasks: string,
  command: string,
  icd: keyof typeof vulkan_icds,
): ChildRuntime {
  return {
    async run(name, args) {
      const output = await outputOf([...runtime, tasks, toJson({ name, args })], icd);
      return resultOfText(lastOf(output.trimEnd().split("\n"))) as never;
    },
    capstan: (...args) => outputOf([...runtime, command, ...args], icd),
    [Symbol.asyncDispose]: async () => {},
  };
}

/** What a process prints. Only an end with exit code 0 counts: a GPU's library may crash at the end. */
async function outputOf(command: readonly string[], icd: keyof typeof vulkan_icds): Promise<string> {
  // Vulkan's loader complains where XDG_RUNTIME_DIR is not set.
  const env = { XDG_RUNTIME_DIR: "/tmp", ...process.env, VK_ICD_FILENAMES: vulkan_icds[icd] };
  const child = spawn(itemAt(command, 0), command.slice(1), {
    cwd: root,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = await new Promise<string>((resolve, reject) => {
    child.on("error", reject).on("close", (code, signal) => resolve(String(code ?? signal)));
  });
  if (ended !== "0") throw new Error(`${command.slice(0, 2).join(" ")} ended with ${ended}: ${stderr}`);
  return stdout;
}
