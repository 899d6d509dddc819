import { describe, expect, test } from "vitest";
import { checkPatterns } from "./patterns.ts";

const check = (Regex: string) => () =>
  checkPatterns({ pretokenizers: [{ type: "Split", pattern: { Regex } }] });

describe("patterns of tokenizers", () => {
  // In the manner of Qwen, Llama 3, GPT-4o, DeepSeek, GPT-2, and of numbers cut from the right.
  test.each([
    String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
    String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{M}]*[\p{Ll}\p{M}]+(?i:'s|'t)?|[^\r\n\p{L}\p{N}]?[\p{Lu}]+[\p{Ll}]*(?i:'s|'t)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*`,
    String.raw`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_` +
      "`" +
      String.raw`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+`,
    String.raw`'s|'t| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
    String.raw`\d{1,3}(?=(?:\d{3})*\b)|(?=(\d{3})+(?!\d))`,
    " ",
    "",
  ])("%s is taken", (pattern) => expect(check(pattern)).not.toThrow());

  test.each([
    "(a+)+$",
    "(a|aa)+$",
    "(a|a)*b",
    "(?:a?){2,}b",
    "((a*))*b",
    "(x+x+)+y",
    "\\s*\\s*\\s*\\s*x",
    "(?:\\s*)(?:\\s*)(?:\\s*)(?:\\s*)x",
    "a{1,99999}",
    "a".repeat(5000),
  ])("%s is refused", (pattern) =>
    expect(check(pattern)).toThrow(expect.objectContaining({ code: "tokenizer" })),
  );
});
