import { spawn } from "node:child_process";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { CapstanError } from "../../models/index.ts";
import { lacks, python } from "../../testing/parts.ts";
import { memorySource } from "../checkpoint/source/index.ts";
import { loadTokenizer, streamDecoder } from "./index.ts";

/**
 * Random tokenizers (every model, normalizer, pre-tokenizer, post-processor and decoder with random options, random added
 * tokens) and random texts and ids, against Python's `tokenizers` (random/random_tokenizers.py). A sample of them is
 * committed; CAPSTAN_RANDOM asks Python for others: "--count 12500 --texts 8 --seed 7".
 */

/** What Python gives, or why it gives nothing. */
type Answer<T> = T | { error: string } | { panic: string };

interface RandomCase {
  seed: number;
  number: number;
  file: object;
  refused?: { error: string } | { panic: string };
  texts: { text: string; parse: Answer<number[]>; plain: Answer<number[]>; framed: Answer<number[]> }[];
  ids: { ids: number[]; decoded: Answer<string>; skipped: Answer<string> }[];
}

const folder = join(import.meta.dirname, "random");

interface Outcome {
  /** Answers compared. */
  count: number;
  /** Texts over which a random pattern would have run for ever. */
  given_up: number;
  failures: object[];
}

/** Checks a line of the generator's. */
async function check(line: string, outcome: Outcome): Promise<void> {
  const { seed, number, file, refused, texts, ids }: RandomCase = JSON.parse(line);
  const name = `--seed ${seed}, tokenizer ${number}`;
  const tokenizer = await attempt(() =>
    loadTokenizer(memorySource({ "tokenizer.json": JSON.stringify(file) })),
  );
  outcome.count++;
  if (refused !== undefined || tokenizer instanceof Error) {
    if (!isRight(tokenizer, refused)) outcome.failures.push({ name, refused, found: String(tokenizer) });
    return;
  }
  const compare = async (what: string, input: unknown, need: Answer<unknown>, run: () => unknown) => {
    const found = await attempt(async () => run());
    outcome.count++;
    if (found instanceof CapstanError && found.message.includes("gets through in time")) outcome.given_up++;
    else if (!isRight(found, need)) outcome.failures.push({ name, what, input, need, found: String(found) });
  };
  for (const { text, parse, plain, framed } of texts) {
    const encode = (options: object) => [...tokenizer.encode(text, options)];
    await compare("parse", text, parse, () => encode({ special: "parse" }));
    await compare("plain", text, plain, () => encode({}));
    await compare("framed", text, framed, () => encode({ special: "parse", add_special_tokens: true }));
  }
  for (const { ids: list, decoded, skipped } of ids) {
    await compare("decode", list, decoded, () => tokenizer.decode(list));
    await compare("skip", list, skipped, () => tokenizer.decode(list, { skip_special_tokens: true }));
    for (const skip_special_tokens of [false, true]) {
      await compare("stream", list, skip_special_tokens ? skipped : decoded, () => {
        const stream = streamDecoder(tokenizer, { skip_special_tokens });
        return list.map((id) => stream.push(id)).join("") + stream.flush();
      });
    }
  }
  tokenizer.dispose();
}

/** A panic of Python's says nothing of what is right; then any answer or one clear error will do. */
function isRight(found: unknown, need: Answer<unknown>): boolean {
  if (found instanceof Error && !(found instanceof CapstanError)) return false;
  if (typeof need === "object" && need !== null && "panic" in need) return true;
  if (typeof need === "object" && need !== null && "error" in need) return found instanceof CapstanError;
  return JSON.stringify(found) === JSON.stringify(need);
}

async function attempt<T>(run: () => Promise<T>): Promise<T | Error> {
  try {
    return await run();
  } catch (error) {
    return error as Error;
  }
}

/** Checks all lines; gives how many answers were compared. */
async function checkAll(lines: Readable): Promise<number> {
  const outcome: Outcome = { count: 0, given_up: 0, failures: [] };
  for await (const line of createInterface({ input: lines })) await check(line, outcome);
  const { count, given_up, failures } = outcome;
  expect(failures.slice(0, 5), `${failures.length} of ${count} answers`).toEqual([]);
  expect(given_up / count).toBeLessThan(0.002);
  return count;
}

describe("random tokenizers encode and decode as Python's do", () => {
  test("the committed sample", async () => {
    expect(await checkAll(createReadStream(join(folder, "sample.jsonl")))).toBeGreaterThan(500);
  });

  test.skipIf(lacks("python"))("others, with Python at hand", { timeout: 3_600_000 }, async () => {
    const args = (process.env.CAPSTAN_RANDOM ?? "--count 150 --texts 8 --seed 1").split(" ");
    const child = spawn(python, [join(folder, "random_tokenizers.py"), ...args], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const ended = new Promise((resolve) => child.on("close", resolve));
    const count = await checkAll(child.stdout);
    expect(await ended).toBe(0);
    console.log(`${count} answers compared`);
    expect(count).toBeGreaterThan(100);
  });
});
