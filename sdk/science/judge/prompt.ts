import { crc32 } from "../run/checksum.ts";

/** A role's judge prompt with the question and the answer in their places, as Python's `str.format` puts them there. */
export function fillPrompt(prompt: string, question: string, answer: string): string {
  const values: Record<string, string> = { "{question}": question, "{answer}": answer, "{{": "{", "}}": "}" };
  return prompt.replace(/\{question\}|\{answer\}|\{\{|\}\}/g, (found) => values[found] ?? found);
}

/** Whether a judge prompt shows the judge what it is to score. */
export function hasAnswer(prompt: string): boolean {
  return prompt.replaceAll("{{", "").includes("{answer}");
}

/** Which prompt a score was given under. */
export function promptHash(prompt: string): string {
  return crc32(prompt);
}

/** The score in a judge's reply: its first number, as published, where that is 0 to 3; else null. */
export function parseScore(reply: string): number | null {
  const value = firstNumber(reply);
  return value !== null && value <= 3 ? value : null;
}

/**
 * The first whole number of a reply, as Python's `\b(\d+)\b` finds it; null where there is none. What a reasoning model
 * thinks in `<think>` before its answer is no part of it.
 */
export function firstNumber(reply: string): number | null {
  const answer = reply.replace(/^\s*<think>[\s\S]*?(?:<\/think>|$)/, "");
  const digits = /(?<![\p{L}\p{N}_])\p{Nd}+(?![\p{L}\p{N}_])/u.exec(answer)?.[0];
  return digits === undefined ? null : Number(Array.from(digits, digitValue).join(""));
}

/** 0 to 9, of a decimal digit of any script: they stand in runs of ten. */
function digitValue(digit: string): number {
  const code = digit.codePointAt(0)!;
  let start = code;
  while (/\p{Nd}/u.test(String.fromCodePoint(start - 1))) start--;
  return (code - start) % 10;
}
