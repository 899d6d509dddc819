import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { lacks, python } from "../../../testing/parts.ts";
import { memorySource } from "../../checkpoint/source/index.ts";
import { loadTokenizer } from "../index.ts";

/**
 * Folders that name and add special tokens in any of the files that do, as transformers of any version wrote them,
 * against what transformers 5 makes of them (random/random_folders.py).
 */
interface FolderCase {
  seed: number;
  number: number;
  files: Record<string, object>;
  content: string;
  rendered: string;
  ids: number[];
  skipped: string;
}

const folder = join(import.meta.dirname, "..", "random");

async function check(lines: string): Promise<void> {
  for (const line of lines.trimEnd().split("\n")) {
    const { seed, number, files, content, rendered, ids, skipped }: FolderCase = JSON.parse(line);
    const entries = Object.entries(files).map(([name, json]) => [name, JSON.stringify(json)] as const);
    const tokenizer = await loadTokenizer(memorySource(Object.fromEntries(entries)));
    const found = {
      rendered: tokenizer.renderChat([{ role: "user", content }]),
      ids: [...tokenizer.encode(rendered, { special: "parse" })],
      skipped: tokenizer.decode(ids, { skip_special_tokens: true }),
    };
    expect(found, `--seed ${seed}, folder ${number}`).toEqual({ rendered, ids, skipped });
  }
}

describe("special tokens of a folder", () => {
  test("are those of transformers: the committed sample", async () => {
    await check(readFileSync(join(folder, "folders.jsonl"), "utf8"));
  });

  test.skipIf(lacks("python"))("are those of transformers: others, with Python at hand", async () => {
    const args = (process.env.CAPSTAN_FOLDERS ?? "--count 300 --seed 1").split(" ");
    const options = { maxBuffer: 2 ** 28 };
    const { stdout } = await promisify(execFile)(
      python,
      [join(folder, "random_folders.py"), ...args],
      options,
    );
    await check(stdout);
  });
});
