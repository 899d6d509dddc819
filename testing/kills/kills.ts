import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { itemAt, present } from "../../models/certain.ts";
import { root } from "../runtimes/runtimes.ts";
import type { KilledVerb } from "./verbs.ts";

/**
 * Ends a verb at random instants, by kill -9 or by a signal that it hears, and calls it again until it comes to its end
 * by itself: what its folder then holds must be what an unbroken call leaves there.
 */

export type Ending = "SIGKILL" | "SIGINT" | "SIGTERM";

/** The code of a verb that heard a signal. */
const CODES: Readonly<Record<Ending, number | null>> = { SIGKILL: null, SIGINT: 130, SIGTERM: 143 };

/** Whether a call ended by the signal: heard, or, while it started and did not listen yet, as any process (to a shell the same code). */
function isEndedBy(ending: Ending, { code, signal }: Ended): boolean {
  return code === null ? signal === ending : code === CODES[ending];
}

export interface KillOptions {
  /** Times the verb is ended. */
  count: number;
  /** By what, in turn. */
  endings: readonly Ending[];
  seed: number;
  /** An empty folder to work in. */
  folder: string;
  /** What runs the command: `node bin/capstan.mjs`. */
  command: readonly string[];
  on_progress?: (killed: number) => void;
}

export interface KillReport {
  killed: number;
  /** Calls that came to their end by themselves before the signal. */
  finished: number;
  /** Seconds of the shortest call that came to its end: what instants are drawn from. */
  seconds: number;
  /** Folders that were compared. */
  compared: number;
  /** What was wrong, a line each. */
  wrong: string[];
}

/** Ends that one folder sees at most, so that many are compared. */
const MOST_A_FOLDER = 4;

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  seconds: number;
  stderr: string;
}

export async function killAtRandom(verb: KilledVerb, options: KillOptions): Promise<KillReport> {
  const random = uniforms(options.seed);
  const unbroken = join(options.folder, "unbroken");
  mkdirSync(unbroken);
  await verb.prepare?.(unbroken);
  const whole = await call(verb, unbroken, options);
  const report: KillReport = { killed: 0, finished: 0, seconds: whole.seconds, compared: 0, wrong: [] };
  if (whole.code !== 0) return { ...report, wrong: [`unbroken: ended with ${whole.code}: ${whole.stderr}`] };
  const expected = await verb.contents(unbroken);
  for (let n = 0; report.killed < options.count; n++) {
    const folder = join(options.folder, `killed-${n}`);
    mkdirSync(folder);
    await verb.prepare?.(folder);
    // The same folder several times, until a call comes to its end by itself; the last one is left to.
    for (let own = 0; ; own++) {
      const ending = itemAt(options.endings, report.killed % options.endings.length);
      const is_last = report.killed >= options.count || own >= MOST_A_FOLDER;
      const after_s = is_last ? undefined : random() * report.seconds;
      const ended = await call(
        verb,
        folder,
        options,
        after_s === undefined ? undefined : { ending, after_s },
      );
      const where = `folder ${n}, kill ${report.killed}`;
      if (ended.code === 0) {
        if (!is_last) report.finished += 1;
        // The machine may have been busy when the first call ran.
        report.seconds = Math.min(report.seconds, ended.seconds);
        report.compared += 1;
        report.wrong.push(
          ...differences(expected, await verb.contents(folder)).map((one) => `${where}: ${one}`),
        );
        break;
      }
      if (!isEndedBy(ending, ended) || is_last) {
        report.wrong.push(`${where}: ended with ${ended.code ?? ended.signal}: ${ended.stderr}`);
        break;
      }
      if (ending !== "SIGKILL") report.wrong.push(...leftBehind(folder).map((one) => `${where}: ${one}`));
      report.killed += 1;
      options.on_progress?.(report.killed);
    }
    if (report.wrong.length > 20) break;
  }
  return report;
}

/** Runs the verb once, to its end or to a signal so many seconds after its start. */
async function call(
  verb: KilledVerb,
  folder: string,
  { command }: KillOptions,
  kill?: { ending: Ending; after_s: number },
): Promise<Ended> {
  const began = performance.now();
  const [program, ...args] = command;
  const child = spawn(present(program, "a program"), [...args, ...verb.args(folder)], {
    cwd: root,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-2000);
  });
  const timer = kill && setTimeout(() => child.kill(kill.ending), 1000 * kill.after_s);
  const how = await new Promise<Pick<Ended, "code" | "signal">>((resolve, reject) => {
    child.on("error", reject).on("close", (code, signal) => resolve({ code, signal }));
  });
  clearTimeout(timer);
  return { ...how, stderr, seconds: (performance.now() - began) / 1000 };
}

/** What a verb that heard its signal leaves beside its files: nothing. */
function leftBehind(folder: string): string[] {
  const names = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: "utf8" }) : [];
  return names.filter((name) => /\.tmp$|(^|\/)lock$/.test(name)).map((name) => `left ${name} behind`);
}

function differences(expected: ReadonlyMap<string, string>, found: ReadonlyMap<string, string>): string[] {
  const names = new Set([...expected.keys(), ...found.keys()]);
  const wrong = [...names].filter((name) => expected.get(name) !== found.get(name));
  const some = wrong
    .slice(0, 3)
    .map((name) => `${name} is ${cut(found.get(name))}, not ${cut(expected.get(name))}`);
  return wrong.length === 0 ? [] : [`${wrong.length} of ${names.size} differ: ${some.join("; ")}`];
}

function cut(text: string | undefined): string {
  return text === undefined ? "not there" : text.slice(0, 120);
}

/** Uniform numbers in [0, 1) from a seed (mulberry32). */
function uniforms(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x = (x + Math.imul(x ^ (x >>> 7), x | 61)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}
