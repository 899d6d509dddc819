import { CapstanError } from "../../models/index.ts";
import { env, findProgram, joinPath, serveLocally, startProgram } from "../../sdk/platform/index.ts";
import type { CaseReport } from "../check/report.ts";
import { caseTask } from "./case_task.ts";
import { CaseFolders, type CaseHost, distFolder, type HostOptions, orAborted } from "./host.ts";
import { resultOfText, type Task, toJson } from "./task.ts";

const ACTION = "run cases in workerd";

/** workerd, Cloudflare's runtime of Workers: each case is a request to a worker. */
export async function openWorkerd({ signal }: HostOptions): Promise<CaseHost> {
  const config = joinPath(await distFolder(), "workerd.capnp");
  const workerd = await startWorkerd(config);
  const cases = new CaseFolders();
  const server = await serveLocally({ folders: cases.folders });
  return {
    async check(source, options) {
      const task = caseTask({ ...options, source: cases.url(server.origin, source) });
      return (await orAborted(runInWorker(workerd, task), ACTION, signal)) as CaseReport;
    },
    async [Symbol.asyncDispose]() {
      await workerd[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** The result of a task that its worker runs. */
export async function runInWorker(workerd: RunningWorkerd, task: Task): Promise<unknown> {
  return resultOfText(await askWorker(workerd, toJson(task)));
}

/** What its worker answers a request with. */
export async function askWorker({ origin, ended }: RunningWorkerd, json: string): Promise<string> {
  const headers = { "content-type": "application/json" };
  const response = await Promise.race([fetch(origin, { method: "POST", body: json, headers }), ended]);
  const text = await Promise.race([response.text(), ended]);
  if (response.ok) return text;
  const parts = { action: ACTION, need: "an answer", found: `status ${response.status}: ${text}` };
  throw new CapstanError("unsupported", parts);
}

/** A workerd with one socket, `http`, of a config that gives it any free port. */
export interface RunningWorkerd extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  /** Rejects once it ended. */
  readonly ended: Promise<never>;
}

/** @param config path of a `.capnp` */
export async function startWorkerd(config: string): Promise<RunningWorkerd> {
  const program = startProgram(await findWorkerd(), ["serve", config, "--control-fd=1"], ACTION);
  try {
    const [, port] = await program.readLine(/"socket":"http","port":(\d+)/);
    const { ended } = program;
    return {
      origin: `http://127.0.0.1:${port}`,
      ended,
      [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
    };
  } catch (error) {
    await program[Symbol.asyncDispose]();
    throw error;
  }
}

/** The binary that `CAPSTAN_WORKERD` names, or of the npm package `workerd`, or in PATH. */
async function findWorkerd(): Promise<string> {
  const named = env("CAPSTAN_WORKERD");
  const found = named === undefined ? ((await fromPackage()) ?? (await findProgram(["workerd"]))) : named;
  if (found !== undefined) return found;
  throw new CapstanError("not_found", {
    action: ACTION,
    need: "workerd",
    found: "no package and no program of that name",
    fix: "Install it: npm install workerd (CAPSTAN_WORKERD names another binary).",
  });
}

async function fromPackage(): Promise<string | undefined> {
  // Not a literal: the package is optional, and bundlers would ask for what an import names.
  const name = "workerd";
  try {
    const { default: package_ } = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as {
      default: { default: string };
    };
    return package_.default;
  } catch {
    return undefined;
  }
}
