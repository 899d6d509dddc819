import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { deno_path, lacks } from "../../testing/parts.ts";
import { startInPty } from "../../testing/pty.ts";
import type { Io } from "./io.ts";
import { bytes, count, duration } from "./progress.ts";
import { showProgress } from "./science.ts";

const scratch = mkdtempSync(join(tmpdir(), "capstan-progress-"));
afterAll(() => rmSync(scratch, { recursive: true }));

describe("what progress is written as", () => {
  it.each([
    [0, "0 s"],
    [-3, "0 s"],
    [0.4, "0 s"],
    [59.4, "59 s"],
    [59.6, "1 min 00 s"],
    [65, "1 min 05 s"],
    [100, "1 min 40 s"],
    [119.5, "2 min 00 s"],
    [3725, "62 min 05 s"],
  ])("%d seconds are %s", (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });

  it.each([
    [0, "0.0 kB"],
    [2_048, "2.0 kB"],
    [999_900, "999.9 kB"],
    [1_000_000, "1.0 MB"],
    [12_345_678, "12.3 MB"],
    [999_900_000, "999.9 MB"],
    [1_000_000_000, "1.00 GB"],
    [123_456_789_012, "123.46 GB"],
  ])("%d bytes are %s", (n, text) => {
    expect(bytes(n)).toBe(text);
  });

  it("counts have separators and no fractions", () => {
    expect([0, 999.6, 1234.4, 1_234_567].map(count)).toEqual(["0", "1,000", "1,234", "1,234,567"]);
  });

  it("a line says what is done of how much, how fast, how long it will take, and of what", () => {
    const lines: string[] = [];
    const show = showProgress({ progress: { update: (text: string) => lines.push(text) } } as unknown as Io);
    const at = { phase: "collect", done: 120, total: 1400, tokens: 9000, tok_per_s: 1530.2 };
    show({ ...at, eta_s: 72, role: "pirate" });
    show({ ...at, done: 0, tok_per_s: 0, eta_s: null });
    expect(lines).toEqual([
      "collect 120 of 1,400 · 1,530 tok/s · 1 min 12 s left · pirate",
      "collect 0 of 1,400",
    ]);
  });
});

describe.skipIf(lacks("pty") || lacks("deno"))("on a terminal", () => {
  it("is one line, written over itself, and gone before what is printed", { timeout: 120_000 }, async () => {
    const root = join(import.meta.dirname, "..", "..");
    const out = join(scratch, "run");
    const verb = ["collect", "--roles", "pirate,nurse", "--limit", "2", "--max_tokens", "8", "--out", out];
    const command = [deno_path, "run", "-A", "--no-lock", "bin/capstan.ts", ...verb];
    using program = startInPty(command, { cwd: root, env: { NO_COLOR: "1" } });
    const code = await program.ended;
    const { screen } = program;
    expect([code, screen]).toEqual([0, screen]);
    const shown = [...screen.matchAll(/\r((?:loading|collect|judge) [^\r\n]*)/g)].map((found) =>
      found[1]!.trim(),
    );
    expect(
      shown.some((line) => /^loading [\d.]+ [kM]B of [\d.]+ MB$/.test(line)),
      screen,
    ).toBe(true);
    expect(
      shown.some((line) => /^collect \d of \d( · \d+ tok\/s)?( · \d+ s left)?( · \w+)?$/.test(line)),
      screen,
    ).toBe(true);
    // What stays on the screen once each line was written over by the next one.
    const left = screen.split("\n").map((line) => terminalLine(line).trimEnd());
    expect(left.filter((line) => /^(loading|collect|judge) \d/.test(line))).toEqual([]);
  });
});

/** What a terminal shows of a line in which `\r` goes back to its begin. */
function terminalLine(text: string): string {
  let shown = "";
  for (const part of text.split("\r")) shown = part + shown.slice(part.length);
  return shown;
}

it("sizes are shown below 1000 of their unit", () => {
  const sizes = [0, 999_949, 999_950, 999_960, 1_000_000, 999_949_999, 999_950_000, 1_500_000_000];
  expect(sizes.map(bytes)).toEqual([
    "0.0 kB",
    "999.9 kB",
    "1.0 MB",
    "1.0 MB",
    "1.0 MB",
    "999.9 MB",
    "1.00 GB",
    "1.50 GB",
  ]);
});
