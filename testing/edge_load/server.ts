import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { PolicyInput } from "../../edge-worker/policy/types.ts";
import { present } from "../../models/certain.ts";
import { root } from "../runtimes/runtimes.ts";

/** `capstan serve` as a process of its own, on a free port of loopback. */
export interface RunningServer {
  origin: string;
  metrics(): Promise<Metrics>;
  /** Ends it as an operator does; whether it says that it drained, and said so by its end. */
  stop(): Promise<boolean>;
}

/** Starts it; rejects with what it wrote where it ends at once. */
export async function startServer(command: readonly string[], policy: PolicyInput): Promise<RunningServer> {
  const folder = mkdtempSync(join(tmpdir(), "capstan-edge-load-"));
  writeFileSync(join(folder, "policy.json"), JSON.stringify(policy));
  const [program, ...args] = command;
  const child = spawn(
    present(program, "a program"),
    [...args, "serve", "--policy", join(folder, "policy.json"), "--port", "0"],
    { cwd: root, env: { ...process.env, NO_COLOR: "1" }, stdio: ["ignore", "pipe", "pipe"] },
  );
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  // Who starts it may be interrupted: it does not stay behind.
  const kill = () => void child.kill("SIGKILL");
  process.on("exit", kill);
  let errors = "";
  child.stderr.on("data", (chunk) => {
    errors = (errors + chunk).slice(-4000);
  });
  let stdout = "";
  const origin = await new Promise<string>((resolve, reject) => {
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(stdout);
      if (found !== null && stdout.endsWith("\n")) resolve(found[0]);
    });
    ended.then((code) => reject(new Error(`the server ended with ${code}: ${errors}`)));
  });
  return {
    origin,
    metrics: async () => new Metrics(await (await fetch(`${origin}/metrics`)).text()),
    stop: async () => {
      child.kill("SIGTERM");
      await ended;
      process.off("exit", kill);
      rmSync(folder, { recursive: true });
      // By the log: Deno takes the exit code of what it sent a signal to for the signal.
      return /"message":"drained"\}\s*$/.test(errors);
    },
  };
}

/** Values of `/metrics`, by name and labels as they are written there. */
export class Metrics {
  readonly #values = new Map<string, number>();

  constructor(text: string) {
    for (const line of text.split("\n")) {
      const at = line.lastIndexOf(" ");
      if (at > 0 && !line.startsWith("#")) this.#values.set(line.slice(0, at), Number(line.slice(at + 1)));
    }
  }

  /** @throws where the server does not say it */
  of(name: string): number {
    const value = this.#values.get(name);
    if (value === undefined) throw new Error(`/metrics has no ${name}`);
    return value;
  }

  /** Whether nothing runs and nothing waits, and blocks are those of the prefix cache alone. */
  get n_left(): { sequences: number; blocks: number } {
    const sequences = (state: string) => this.of(`capstan_sequences{model="${MODEL}",state="${state}"}`);
    const blocks = (state: string) => this.of(`capstan_kv_blocks{model="${MODEL}",state="${state}"}`);
    return {
      sequences: sequences("running") + sequences("waiting"),
      blocks: blocks("used") - blocks("cached"),
    };
  }

  get resident_mb(): number {
    return Math.round(this.of("process_resident_memory_bytes") / 1e5) / 10;
  }

  /**
   * The least bound of a histogram that a share of the values since `before` are at most: infinite beyond the last, null
   * where there are none.
   */
  quantile(name: string, share: number, before: Metrics): number | null {
    const counted = (key: string) => this.of(key) - (before.#values.get(key) ?? 0);
    const n = counted(`${name}_count`);
    if (n === 0) return null;
    const bounds = [...this.#values.keys()].flatMap((key) => {
      const le = key.startsWith(`${name}_bucket{`) ? /le="([^"]+)"/.exec(key)?.[1] : undefined;
      return le === undefined ? [] : [{ key, bound: le === "+Inf" ? Number.POSITIVE_INFINITY : Number(le) }];
    });
    return bounds.find(({ key }) => counted(key) >= share * n)?.bound ?? null;
  }
}

/** The name that the model has at the server. */
export const MODEL = "model";
