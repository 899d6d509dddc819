import { abortedError, CapstanError } from "../../models/index.ts";
import { fileKind, joinPath, packageFile, resolvePath } from "../../sdk/platform/index.ts";
import type { CaseReport } from "../check/report.ts";
import type { CaseArgs } from "./case_task.ts";

/** A runtime beside this one that checks reference cases. */
export interface CaseHost extends AsyncDisposable {
  /**
   * Checks a case there.
   *
   * @param source its folder here, or a URL that the other runtime can reach
   * @throws CapstanError what `checkCase` threw there; `unsupported` where the runtime ended; `aborted`
   */
  check(source: string, options: Omit<CaseArgs, "source">): Promise<CaseReport>;
}

/** How a host is opened. */
export interface HostOptions {
  signal: AbortSignal;
  /** Tells the person at the terminal something. */
  note: (text: string) => Promise<void>;
}

/** The folders of cases that a server on this machine's loopback has, and where each is. */
export class CaseFolders {
  readonly folders: Record<string, string> = {};
  /** The path that everything is served under: nobody else on this machine guesses it. */
  readonly prefix: string = `/${crypto.randomUUID()}/`;

  /** The URL of a case: its own where it is one. */
  url(origin: string, source: string): string {
    if (/^https?:/.test(source)) return source;
    const folder = resolvePath(source);
    const known = Object.entries(this.folders).find(([, path]) => path === folder);
    const at = known?.[0] ?? `${this.prefix}cases/${Object.keys(this.folders).length}/`;
    this.folders[at] = folder;
    return `${origin}${at.slice(0, -1)}`;
  }
}

/** Path of `dist/`, whose code other runtimes are given. @throws CapstanError `not_found` before `npm run build` */
export async function distFolder(): Promise<string> {
  const folder = packageFile("dist");
  if ((await fileKind(joinPath(folder, "js"))) === "folder") return folder;
  throw new CapstanError("not_found", {
    action: "run cases in another runtime",
    need: "what it loads, in dist/",
    found: "none",
    fix: "Run npm run build first.",
  });
}

/** As the promise, or `aborted` once the signal is. */
export function orAborted<T>(work: Promise<T>, action: string, signal: AbortSignal): Promise<T> {
  if (signal.aborted) return Promise.reject(abortedError(action, signal));
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(abortedError(action, signal));
    signal.addEventListener("abort", stop, { once: true });
  });
  return Promise.race([work, aborted]).finally(() => signal.removeEventListener("abort", stop));
}
