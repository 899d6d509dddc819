import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { collect, fit, load, cap as makeCaps } from "../sdk/index.ts";
import { deno_path, lacks } from "../testing/parts.ts";
import { type PtyProgram, startInPty } from "../testing/pty.ts";

const root = join(import.meta.dirname, "..");
const scratch = mkdtempSync(join(tmpdir(), "capstan-chat-"));
const file = (name: string) => join(scratch, name);
afterAll(() => rmSync(scratch, { recursive: true }));

const NODE = [process.execPath, "bin/capstan.mjs"];
const DENO = [deno_path, "run", "-A", "--no-lock", "bin/capstan.ts"];
const GREEDY = ["--temperature", "0", "--max_tokens", "24"];

beforeAll(async () => {
  // Builds what is not built, aloud, before outputs are compared.
  spawnSync(NODE[0]!, [...NODE.slice(1), "--version"], { cwd: root });
  await using model = await load("capstan-tiny", { device: "wasm" });
  endlessModel();
  const axis = await fit(await collect(model, { limit: 3, max_tokens: 16, judge: () => 3 }), {
    min_count: 1,
  });
  await axis.save(file("axis.safetensors"));
  await makeCaps(axis, { layers: { start: 2, end: 5 }, percentile: 75 }).save(file("caps.safetensors"));
}, 120_000);

/** The embedded model without the token that ends a reply. */
function endlessModel(): void {
  const from = join(root, "models/capstan-tiny");
  mkdirSync(file("endless"));
  for (const name of ["model.safetensors", "tokenizer.json", "tokenizer_config.json"]) {
    symlinkSync(join(from, name), join(file("endless"), name));
  }
  for (const name of ["config.json", "generation_config.json"]) {
    const text = readFileSync(join(from, name), "utf8").replace(/"eos_token_id": *\d+/, '"eos_token_id": 0');
    writeFileSync(join(file("endless"), name), text);
  }
}

/** What `capstan chat` does with lines that come by a pipe. */
function piped(lines: readonly string[], ...args: string[]) {
  const input = `${lines.join("\n")}\n`;
  const { status, stdout, stderr } = spawnSync(NODE[0]!, [...NODE.slice(1), "chat", ...GREEDY, ...args], {
    cwd: root,
    input,
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

const conversationOf = (path: string) => JSON.parse(readFileSync(path, "utf8")).conversation;
const said = (path: string) => conversationOf(path).map(({ content }: { content: string }) => content);

describe("the lines of a chat", () => {
  it("say things, keep and read conversations, and forget", () => {
    const first = piped([
      "Who are you?",
      `/save ${file("a.json")}`,
      "And you?",
      "/undo",
      `/save ${file("b.json")}`,
    ]);
    expect(first).toMatchObject({ status: 0, stderr: "" });
    expect(conversationOf(file("a.json")).map(({ role }: { role: string }) => role)).toEqual([
      "user",
      "assistant",
    ]);
    expect(said(file("b.json"))).toEqual(said(file("a.json")));
    const second = piped([
      `/load ${file("a.json")}`,
      "And you?",
      `/save ${file("c.json")}`,
      "/reset",
      "/drift",
    ]);
    expect(said(file("c.json")).slice(0, 3)).toEqual([...said(file("a.json")), "And you?"]);
    expect(second.stderr).toBe("capstan: /drift: need a reply to project, found none so far.\n");
  });

  it("answer a question that a conversation ends with", () => {
    writeFileSync(file("open.json"), JSON.stringify([{ role: "user", content: "Who are you?" }]));
    piped([`/load ${file("open.json")}`, `/save ${file("answered.json")}`]);
    expect(said(file("answered.json"))).toEqual(said(file("a.json")));
  });

  it("apply caps and leave them out: what is said under them is what generate says", () => {
    const question = "Who are you?";
    const lines = ["/cap", "/cap off", question, "/reset", "/cap on", question, "/drift"];
    const { status, stdout, stderr } = piped(
      lines,
      "--system",
      "You are a pirate.",
      "--cap",
      file("caps.safetensors"),
    );
    expect([status, stderr]).toEqual([0, ""]);
    const ask = (...args: string[]) =>
      spawnSync(
        NODE[0]!,
        [
          ...NODE.slice(1),
          "generate",
          "--system",
          "You are a pirate.",
          "--prompt",
          question,
          ...GREEDY,
          ...args,
        ],
        { cwd: root, encoding: "utf8" },
      ).stdout;
    const [plain, capped] = [ask(), ask("--cap", file("caps.safetensors"))];
    expect(plain).not.toBe(capped);
    const [, on, off, uncapped_reply, , on_again, capped_reply, drift] = stdout.split("> ");
    expect([on, on_again]).toEqual([
      expect.stringContaining("caps on"),
      expect.stringContaining("layers 2:5"),
    ]);
    expect(off).toContain("caps off");
    expect([uncapped_reply, capped_reply]).toEqual([plain, capped]);
    expect(drift).toMatch(
      /axis\.safetensors, under the caps\nlayer 4.*\n.*system.*\n.*user.*\n.*assistant .*drift 0\.00/,
    );
  });

  it.each([
    ["/rest", "Is /reset meant?"],
    ["/Help", "Is /help meant?"],
    ["/dance", "/help lists the commands. A message that begins with a slash is written with two: //dance."],
    ["/cap on", "`capstan cap AXIS --out FILE` writes one"],
    ["/cap none.safetensors", "Caps are what `capstan cap"],
    ["/drift none.safetensors", "capstan fit RUN"],
    ["/save", "need /save FILE"],
    ["/save x.json", "no messages"],
    ["/load none.json", "nothing there"],
    ["/quit now", "need /quit alone"],
    ["/undo", "need a message"],
  ])("say in one line what is wrong, and go on: %s", (line, found) => {
    const { status, stdout, stderr } = piped([line, "/help"]);
    expect([status, stderr.trim().split("\n").length]).toEqual([0, 1]);
    expect(stderr).toContain(found);
    expect(stdout).toContain("/undo");
  });

  it("say a text that begins with a slash, and give one JSON object", () => {
    const { stdout, stderr } = piped(["//help me", "/quit", "unread"], "--json");
    expect(stderr).toBe("");
    const { conversation, cap, capped } = JSON.parse(stdout);
    expect([conversation[0].content, conversation.length, cap, capped]).toEqual(["/help me", 2, null, false]);
  });

  it("are what stdin is for", () => {
    const { status, stderr } = piped(["x"], "--cap", "-");
    expect([status, stderr]).toEqual([
      2,
      expect.stringContaining("need stdin for what is said, found --cap - before it"),
    ]);
  });
});

const RUNTIMES = [["Node", NODE], ...(lacks("deno") ? [] : [["Deno", DENO] as const])] as const;

describe.skipIf(lacks("pty")).each(RUNTIMES)("a chat in a terminal, in %s", (_, command) => {
  const start = (...args: string[]) => startInPty([...command, "chat", ...GREEDY, ...args], { cwd: root });

  /** Waits for a prompt with this typed behind it. */
  const prompt = (chat: PtyProgram, typed = "") => chat.shows(new RegExp(`> ${typed}`));

  it("has line editing and history", async () => {
    using chat = start();
    await prompt(chat);
    // Two letters too many, one fixed by Backspace, one from the line's start.
    chat.type("xWho are yyou\x7f\x7f\x7fou?\x01\x1b[3~\r");
    await prompt(chat);
    chat.type(`/save ${file("edited.json")}\r`);
    await chat.shows(/2 messages in/);
    await prompt(chat);
    chat.type("\x1b[A\x1b[A");
    await chat.shows(/Who are you\?/);
    chat.type("\r");
    await prompt(chat);
    chat.type(`/save ${file("again.json")}\r`);
    await chat.shows(/4 messages in/);
    chat.type("\x04");
    expect(await chat.ended).toBe(0);
    expect(said(file("edited.json"))[0]).toBe("Who are you?");
    expect(said(file("again.json"))[2]).toBe("Who are you?");
  });

  it("keeps what is typed or pasted while a reply is written for the next prompts", async () => {
    using chat = start();
    await prompt(chat);
    chat.type("Who are you?\rAnd\x20you?\r/undo\r");
    await chat.shows(/> And you\?[\s\S]*> \/undo[\s\S]*2 messages left/);
    chat.type("/quit\r");
    expect(await chat.ended).toBe(0);
  });

  it("stops a reply by Ctrl-C and goes on; ends with 130 by a second one at an empty line", async () => {
    using chat = start("--max_tokens", "4000", "--model", file("endless"));
    await prompt(chat);
    chat.type("Tell me a long story about ships.\r");
    await chat.shows(/ships\.\s+\w+/);
    chat.type("\x03");
    await chat.shows(/\[stopped\]/);
    await prompt(chat);
    chat.type(`/save ${file("stopped.json")}\r`);
    await chat.shows(/2 messages in/);
    expect(said(file("stopped.json"))[1]).not.toBe("");
    await prompt(chat);
    chat.type("half a line\x03");
    await chat.shows(/half a line/);
    chat.type("/cap\r");
    await chat.shows(/no caps/);
    await prompt(chat);
    chat.type("\x03");
    await chat.shows(/Ctrl-C again/);
    chat.type("\x03");
    expect(await chat.ended).toBe(130);
  });
});
