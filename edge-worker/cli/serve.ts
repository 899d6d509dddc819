import type { Command } from "commander";
import { CapstanError } from "../../models/index.ts";
import { EXIT } from "../../sdk/cli/exit.ts";
import { type Io, verb } from "../../sdk/cli/io.ts";
import { addModelOptions, type ModelOptions, portNumber } from "../../sdk/cli/options.ts";
import {
  dirname,
  type HttpListener,
  onHangup,
  resolvePath,
  runtime,
  serveOnDeno,
  write,
} from "../../sdk/platform/index.ts";
import { createApp } from "../app.ts";
import type { LogEntry } from "../log.ts";
import { isLoopback } from "../policy/hosts.ts";
import { ProcessWatch } from "../service/process_watch.ts";
import { fileFinder } from "../service/served_model.ts";
import { Service } from "../service/service.ts";
import { pageFiles } from "./page_files.ts";
import { policyOfModel, readPolicyFile } from "./policy_file.ts";

interface Options extends ModelOptions {
  policy?: string;
  axis?: string;
  cap?: string;
  pinned?: boolean;
  host: string;
  port: number;
  hosts?: string[];
}

export function addServe(program: Command): void {
  const command = program
    .command("serve")
    .description("serve capped chat over HTTP, for any OpenAI client")
    .option("--policy <file>", "models, caps, keys and limits (default: the options below)")
    .option("--axis <file>", "without a policy: project replies on this axis (default: none)")
    .option("--cap <file>", "without a policy: cap replies by this .cap.safetensors file (default: none)")
    .option("--pinned", "without a policy: no request may lift --cap")
    .option(
      "--hosts <names>",
      "without a policy: hosts that requests may be for, by commas (default: any; at a loopback address without a key loopback's own)",
      (text: string) => text.split(","),
    )
    .option("--host <address>", "where to listen", "127.0.0.1")
    .option("--port <n>", "where to listen; 0 is any free port", portNumber, 8080);
  addModelOptions(command).addHelpText(
    "after",
    `
Without a policy, the key that CAPSTAN_API_KEY holds is asked for; without that either, anybody is served.
SIGTERM and Ctrl-C let running requests end (limits.drain_s); SIGHUP reads the policy again. TLS is a proxy's part.

Examples:
  $ capstan serve
  $ capstan serve --cap out/cap.safetensors --axis out/axis.safetensors --pinned
  $ capstan serve --policy policy.json --host 0.0.0.0`,
  );
  command.action(verb(async (io, options: Options) => await serve(io, options)));
}

async function serve(io: Io, options: Options) {
  const { policy: file } = options;
  if (file !== undefined) checkAlone(options);
  const service = new Service({
    policy: file === undefined ? await policyOfModel(options) : await readPolicyFile(file),
    files: fileFinder((path) => resolvePath(file === undefined ? "." : dirname(resolvePath(file)), path)),
  });
  const watch = new ProcessWatch();
  try {
    io.progress.update("loading");
    await service.load();
    io.progress.clear();
    const app = createApp({
      service,
      log: writeLine,
      more_metrics: () => watch.lines(),
      is_loopback: isLoopback(options.host),
      page: pageFiles(),
    });
    const fetch = (request: Request) => app.fetch(request);
    const listener =
      runtime().name === "deno"
        ? serveOnDeno(fetch, options)
        : await (await import("../entries/node.ts")).serveOnNode(fetch, options);
    const stopListening = onHangup(() => void reload(service, file));
    await announce(io, service, listener);
    await aborted(io.signal);
    await shutDown(service, listener);
    stopListening();
  } finally {
    watch.stop();
    await service.dispose();
  }
  return EXIT.done;
}

/** A policy says all of it: what stands beside it would be passed over, a pinned cap among it. */
function checkAlone(options: Options): void {
  const other = (["cap", "pinned", "axis", "hosts"] as const).find((name) => options[name] !== undefined);
  if (other === undefined) return;
  throw new CapstanError("bad_request", {
    action: "serve",
    need: `--policy or --${other}`,
    found: "both",
    fix: "The policy names these: capstan policy check --help.",
  });
}

/** Lets running requests end within the policy's time; refuses others meanwhile. */
async function shutDown(service: Service, listener: HttpListener): Promise<void> {
  const seconds = service.current?.policy.limits.drain_s ?? 30;
  const deadline = AbortSignal.timeout(seconds * 1000);
  note("info", `draining, for at most ${seconds} s`);
  await service.drain(deadline);
  // What has been written goes out; a reader that takes nothing is cut off.
  await listener.close(AbortSignal.any([deadline, AbortSignal.timeout(5000)]));
  note("info", "drained");
}

async function reload(service: Service, file: string | undefined): Promise<void> {
  if (file === undefined) return note("warn", "SIGHUP: there is no policy file to read again");
  try {
    await service.reload(await readPolicyFile(file));
    note("info", "policy read again");
  } catch (error) {
    note("error", `the old policy stays: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function announce(io: Io, service: Service, { origin }: HttpListener): Promise<void> {
  const models = [...(service.current?.models.keys() ?? [])];
  await io.print(`Serving ${models.join(", ")} at ${origin}/v1, with a page at ${origin}/`);
  await io.print(
    `Next: curl ${origin}/v1/chat/completions -H 'content-type: application/json' -d '{"messages":[{"role":"user","content":"Hello"}]}'`,
  );
  await io.result({ origin, models });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function note(level: LogEntry["level"], message: string): void {
  writeLine({ time: new Date().toISOString(), level, event: "server", message });
}

/** A log that cannot be written (a full disk) does not stop the server. */
function writeLine(entry: LogEntry): void {
  write("stderr", `${JSON.stringify(entry)}\n`).catch(() => {});
}
