import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Run } from "../../sdk/index.ts";
import { deno_path, lacks } from "../parts.ts";
import { buildDist, root } from "../runtimes/runtimes.ts";
import { type Ending, killAtRandom } from "./kills.ts";
import { KILLED_VERBS, type KilledVerbName } from "./verbs.ts";

/** A few ends at random instants; `npm run kills -- --count 50` makes as many as one likes. */

const scratch = mkdtempSync(join(tmpdir(), "capstan-kills-"));
afterAll(() => rmSync(scratch, { recursive: true }));
beforeAll(buildDist);

const NODE = [process.execPath, "bin/capstan.mjs"];
const DENO = [deno_path, "run", "-A", "--no-lock", "bin/capstan.ts"];

const ENDINGS: [KilledVerbName, Ending[]][] = (Object.keys(KILLED_VERBS) as KilledVerbName[]).map((name) => [
  name,
  ["SIGKILL"],
]);

describe("a verb that is ended at any instant goes on to what an unbroken call leaves", () => {
  it.each([...ENDINGS, ["collect", ["SIGINT", "SIGTERM"]] as const])(
    "%s, by %j",
    async (name, endings) => {
      const report = await killAtRandom(KILLED_VERBS[name], {
        count: endings.length > 1 ? 4 : 3,
        endings,
        seed: 11,
        folder: mkdtempSync(join(scratch, `${name}-`)),
        command: NODE,
      });
      expect(report).toMatchObject({ killed: endings.length > 1 ? 4 : 3, wrong: [] });
      expect(report.compared).toBeGreaterThan(0);
    },
    240_000,
  );
});

/** Starts a collection and waits until it holds its folder. */
async function collecting(
  command: readonly string[],
  out: string,
): Promise<{ child: ChildProcess; over: Promise<Ended> }> {
  const child = start(command, out);
  const over = ended(child);
  while (!existsSync(join(out, "lock")) && child.exitCode === null) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return { child, over };
}

interface Ended {
  code: number | null;
  stdout: string;
}

function start([program, ...args]: readonly string[], out: string): ChildProcess {
  const collect = [
    "collect",
    "--roles",
    "0:12",
    "--limit",
    "10",
    "--max_tokens",
    "8",
    "--json",
    "--out",
    out,
  ];
  return spawn(program!, [...args, ...collect], { cwd: root, stdio: ["ignore", "pipe", "ignore"] });
}

async function ended(child: ChildProcess): Promise<Ended> {
  let stdout = "";
  child.stdout!.on("data", (data) => (stdout += data));
  return await new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout })));
}

describe("two writers of one folder", () => {
  it.skipIf(lacks("deno")).each([
    ["Node", "Deno", NODE, DENO],
    ["Deno", "Node", DENO, NODE],
  ])(
    "%s is at work, %s is refused; once the first is killed, it takes over",
    async (_, __, first, second) => {
      const out = mkdtempSync(join(scratch, "two-"));
      const { child, over } = await collecting(first, out);
      const refused = await ended(start(second, out));
      expect(refused.code).toBe(2);
      expect(JSON.parse(refused.stdout).error).toEqual({
        code: "bad_request",
        message:
          `write to run ${out}: need no other process at work on it, found process ${child.pid} on ${hostname()}. ` +
          `Wait for it, or give another folder. If it is no Capstan's process, remove ${join(out, "lock")}.`,
      });
      child.kill("SIGKILL");
      await over;
      expect(readFileSync(join(out, "lock"), "utf8")).toBe(`${hostname()} ${child.pid}`);
      const taken = await ended(start(second, out));
      expect(taken.code).toBe(0);
      expect(readdirSync(out)).not.toContain("lock");
      expect((await Run.open(out)).responses.size).toBe(13 * 10);
    },
  );
});
