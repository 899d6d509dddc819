import { basename, dirname, shortPath } from "./paths.ts";
import { env, runtime } from "./process.ts";
import { system } from "./system.ts";

/** How the user called this command, one argument each: `["npx", "capstan"]`, `["node", "bin/capstan.mjs"]`. */
export function launcher(): string[] {
  const [, script = ""] = system("node:process", "ask the process").argv;
  const { name } = runtime();
  const runs_task = env("INIT_CWD") !== undefined;
  if (name === "deno") {
    return runs_task && env("npm_command") === undefined
      ? ["deno", "task", "capstan"]
      : ["deno", "run", "-A", shortPath(script)];
  }
  if (env("npm_command") !== undefined) return ["npx", "capstan"];
  if (/\.[cm]?[jt]s$/.test(script)) return [name, shortPath(script)];
  const { delimiter } = system("node:path", "look at PATH");
  if ((env("PATH") ?? "").split(delimiter).includes(dirname(script))) return [basename(script)];
  return basename(dirname(script)) === ".bin" ? ["npx", basename(script)] : [shortPath(script)];
}

/** A part of a command line as the user's shell takes it for one argument. */
export function quoteArgument(text: string): string {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  if (system("node:process", "ask the process").platform === "win32")
    return `"${text.replaceAll('"', '\\"')}"`;
  return `'${text.replaceAll("'", "'\\''")}'`;
}
