import type * as child_process from "node:child_process";
import type * as crypto from "node:crypto";
import type * as fs from "node:fs";
import type * as fs_promises from "node:fs/promises";
import type * as http from "node:http";
import type * as os from "node:os";
import type * as path from "node:path";
import type nodeProcess from "node:process";
import type * as readline from "node:readline";
import type * as stream from "node:stream";
import type * as timers from "node:timers";
import type * as url from "node:url";
import type * as worker_threads from "node:worker_threads";
// Not the index: a worker that begins with this file has nothing else to load of models/.
import { CapstanError } from "../../models/errors.ts";

/** The system's modules, as Node, Deno and Bun have them. */
interface SystemModules {
  "node:child_process": typeof child_process;
  "node:crypto": typeof crypto;
  "node:fs": typeof fs;
  "node:fs/promises": typeof fs_promises;
  "node:http": typeof http;
  "node:os": typeof os;
  "node:path": typeof path;
  "node:process": typeof nodeProcess;
  "node:readline": typeof readline;
  "node:stream": typeof stream;
  "node:timers": typeof timers;
  "node:url": typeof url;
  "node:worker_threads": typeof worker_threads;
}

const { process: host, navigator } = globalThis as {
  process?: { getBuiltinModule?: (name: string) => unknown };
  navigator?: { userAgent?: string };
};

/** Whether this is workerd, the runtime of Cloudflare's Workers, by the name it gives itself. */
export const is_workerd = navigator?.userAgent === "Cloudflare-Workers";

/**
 * Whether there is a system below: files, a process, a terminal. A page and its Workers have none; workerd has
 * modules of the names, and no system behind them.
 */
export const has_system = !is_workerd && typeof host?.getBuiltinModule === "function";

/**
 * A module of the system. Asked for when it is used and never imported: an import of `node:` would keep a browser
 * from loading the SDK at all, where most of it runs.
 *
 * @param action what it is wanted for, should there be no system
 * @throws CapstanError `unsupported`
 */
export function system<Name extends keyof SystemModules>(name: Name, action: string): SystemModules[Name] {
  if (has_system && host?.getBuiltinModule !== undefined)
    return host.getBuiltinModule(name) as SystemModules[Name];
  throw new CapstanError("unsupported", {
    action,
    need: "a runtime with files and processes, such as Node or Deno",
    found: "a page or worker",
    fix: "Read from a URL or a file source, and keep results in memory.",
  });
}
