import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Projection } from "../../sdk/index.ts";
import { type StubEndpoint, stubEndpoint } from "../../sdk/science/judge/fixtures/stub.ts";
import { type InstalledProject, installPackage } from "../../testing/installed.ts";
import { deno_path, lacks, python, real_model } from "../../testing/parts.ts";
import { startInPty } from "../../testing/pty.ts";
import { root } from "../../testing/runtimes/runtimes.ts";

/**
 * docs/experiment.md, command by command, in an empty project that the packed package was installed into: its blocks
 * `sh run` as they stand, and `sh next` as the command before has printed it.
 */

const PATIENCE = 1_800_000;

interface Step {
  kind: "run" | "next";
  line: string;
}

const page = readFileSync(join(root, "docs/experiment.md"), "utf8");
const steps = [...page.matchAll(/^```sh (run|next)\n([\s\S]*?)^```/gm)].flatMap(([, kind, text]): Step[] =>
  text!
    .trim()
    .split("\n")
    .map((line) => ({ kind: kind as Step["kind"], line })),
);

/** Four in five responses are in role, and one role never is. */
function scoreOf(prompt: string): string {
  if (prompt.includes("speak as a oracle")) return "1";
  if (prompt.startsWith("Asked:")) return "2";
  return prompt.length % 5 === 0 ? "It is 0." : "3";
}

/** Turns of a story: some 1,400 tokens. */
const conversation = Array.from({ length: 14 }, (_, i) => [
  { role: "user", content: `Tell me part ${i} of the story of the lighthouse.` },
  {
    role: "assistant",
    content: `Part ${i}. ${"The keeper climbed the stairs, lit the lamp and looked for ships. ".repeat(5)}`,
  },
]).flat();

let installed: InstalledProject;
let judge: StubEndpoint;
beforeAll(async () => {
  if (lacks("real-model") || lacks("pty")) return;
  installed = installPackage();
  judge = await stubEndpoint(({ prompt }) => scoreOf(prompt));
}, PATIENCE);
afterAll(async () => {
  installed?.[Symbol.dispose]();
  await judge?.[Symbol.asyncDispose]();
});

/** A walk in a folder of its own, by one way to call the command. */
class Walk {
  readonly folder: string;
  readonly #launcher: string;
  readonly #env: Record<string, string>;
  next = "";

  constructor(name: string, launcher: string) {
    this.folder = join(installed.folder, name);
    mkdirSync(this.folder);
    writeFileSync(join(this.folder, "long.json"), JSON.stringify({ model: "x", conversation }));
    this.#launcher = launcher;
    this.#env = {
      ...(Object.fromEntries(
        Object.entries(process.env).filter(([name]) => !/^npm_|^INIT_CWD$|^CAPSTAN_/.test(name)),
      ) as Record<string, string>),
      PATH: [dirname(deno_path), process.env.PATH].join(delimiter),
      MODEL: real_model,
      EXAMPLES: join(installed.folder, "node_modules/capstan/examples/experiment"),
      JUDGE: judge.url,
    };
  }

  /** A line of the page with this walk's way to call the command. */
  lineOf(text: string): string {
    return text.replace(/^npx capstan/, this.#launcher);
  }

  /** As the shell would have it. */
  filled(text: string): string {
    return text.replace(/"?\$(\w+)"?/g, (_, name: string) => this.#env[name]!);
  }

  async run(line: string): Promise<{ stdout: string; stderr: string }> {
    const measured = join(this.folder, "measured.json");
    const args = [join(root, "testing/measured.py"), measured, line];
    const child = spawn(python, args, { cwd: this.folder, env: this.#env });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (data) => (stdout += data));
    child.stderr.on("data", (data) => (stderr += data));
    const code = await new Promise((resolve) => child.on("close", resolve));
    const { seconds, cpu_seconds, peak_mb } = JSON.parse(readFileSync(measured, "utf8"));
    process.stderr.write(`${seconds} s, ${cpu_seconds} s of processor, ${peak_mb} MB: ${line}\n`);
    expect(code, `${line}\n${stdout}\n${stderr}`).toBe(0);
    this.next = /^Next: (.+)$/m.exec(stdout)?.[1] ?? this.next;
    return { stdout, stderr };
  }

  /** Chats in a pseudo terminal. */
  async chat(line: string): Promise<void> {
    using chat = startInPty(
      ["sh", "-c", `exec ${line} --max_tokens 12 --temperature 0 --axis axis.safetensors`],
      {
        cwd: this.folder,
        env: this.#env,
      },
    );
    await chat.shows(/> /);
    chat.type("Who are you?\r");
    await chat.shows(/Who are you\?\r*\n[\s\S]*?> /);
    chat.type("/cap off\r");
    await chat.shows(/caps off[\s\S]*> /);
    chat.type("/cap on\r");
    await chat.shows(/caps on[\s\S]*> /);
    chat.type("/drift\r");
    await chat.shows(/layer \d+[\s\S]*assistant .*drift 0\.00[\s\S]*> /);
    chat.type("/quit\r");
    expect(await chat.ended).toBe(0);
  }

  disk(): number {
    const size = (path: string): number =>
      statSync(path).isDirectory()
        ? readdirSync(path).reduce((sum, name) => sum + size(join(path, name)), 0)
        : statSync(path).size;
    return size(this.folder);
  }
}

describe.skipIf(lacks("real-model") || lacks("pty"))("docs/experiment.md", () => {
  it.each([
    ["Node", () => "npx capstan"],
    ["Deno", () => `deno run -A ${join(installed.folder, "node_modules/capstan/bin/capstan.mjs")}`],
  ])(
    "leads from a folder of a real model to pictures, in %s",
    async (name, call) => {
      const launcher = call();
      const walk = new Walk(name.toLowerCase(), launcher);
      const said = new Map<string, { stdout: string; stderr: string }>();
      for (const { kind, line } of steps) {
        const command = walk.lineOf(line);
        if (kind === "next") expect(walk.next).toContain(walk.filled(command));
        const [verb] = command.replace(`${launcher} `, "").split(" ");
        if (verb === "chat") await walk.chat(walk.next);
        else said.set(verb!, await walk.run(kind === "next" ? walk.next : command));
      }
      expect(said.get("fit")!.stdout).toMatch(/oracle: 0 of its \d+ responses fully in role/);
      expect(said.get("fit")!.stdout).toContain("* default");
      expect(said.get("cap")!.stdout).toContain("caps on layers 22:25 at percentile 25");
      const [plain, projected] = ["plain.json", "capped.json"].map(
        (file): Projection => JSON.parse(readFileSync(join(walk.folder, file), "utf8")),
      ) as [Projection, Projection];
      expect(projected.windows.length).toBeGreaterThan(1);
      // The picture of drift shows what the caps do: both are read behind them.
      expect([plain.layer, projected.layer]).toEqual([24, 24]);
      const lifted = projected.turns.filter(
        ({ projection }, i) => projection! > plain.turns[i]!.projection! + 0.1,
      );
      expect(lifted.length).toBeGreaterThan(0);
      const { suites, judge: judged_by } = JSON.parse(
        readFileSync(join(walk.folder, "evaluation.json"), "utf8"),
      );
      expect(suites.every_check).toMatchObject({
        uncapped: { n: 8 },
        capped: { n: 8 },
        control: { n: 8 },
        unjudged: 0,
      });
      expect(judged_by).toMatch(/^judge@/);
      for (const picture of ["space.svg", "drift.svg", "evaluation.png"])
        expect(existsSync(join(walk.folder, picture)), picture).toBe(true);
      const megabytes = (walk.disk() / 2 ** 20).toFixed(1);
      process.stderr.write(`${name}: ${megabytes} MB on disk\n`);
    },
    PATIENCE,
  );
});
