import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { spellAsDeclared } from "./index.ts";
import { ProgressLine } from "./progress.ts";

/** A clock that the test moves, and what was written by it. */
function fakeOutput(is_tty: boolean) {
  const output = {
    is_tty,
    written: [] as string[],
    time: 1000,
    timers: [] as { ms: number; call: () => void }[],
    write: (text: string) => void output.written.push(text),
    now: () => output.time,
    every: (ms: number, call: () => void) => {
      const timer = { ms, call };
      output.timers.push(timer);
      return () => void output.timers.splice(output.timers.indexOf(timer), 1);
    },
  };
  return output;
}

describe("progress", () => {
  it("rewrites one line on a terminal, ten times a second at most", () => {
    const output = fakeOutput(true);
    const progress = new ProgressLine(output);
    progress.update("collect 1 of 20");
    output.time += 99;
    progress.update("collect 2 of 20");
    output.time += 1;
    progress.update("done");
    progress.end();
    expect(output.written).toEqual(["\rcollect 1 of 20", "\rdone           ", "\r    \r"]);
    expect(output.timers).toEqual([]);
  });

  it("writes the newest text as a line every 30 s where there is no terminal, and nothing after the end", () => {
    const output = fakeOutput(false);
    const progress = new ProgressLine(output);
    progress.update("collect 1 of 20");
    progress.update("collect 2 of 20");
    expect(output.written).toEqual([]);
    expect(output.timers.map(({ ms }) => ms)).toEqual([30_000]);
    output.timers[0]!.call();
    progress.clear();
    output.timers[0]!.call();
    progress.update("collect 3 of 20");
    output.timers[0]!.call();
    expect(output.written).toEqual(["collect 2 of 20\n", "collect 2 of 20\n", "collect 3 of 20\n"]);
    progress.end();
    expect(output.timers).toEqual([]);
  });
});

describe("spellings", () => {
  const program = new Command("capstan").enablePositionalOptions();
  const verb = program
    .command("walk")
    .option("--max_steps <n>")
    .option("--dry-run")
    .option("--say <text...>");
  verb.command("far").option("--too_far");

  it.each([
    [
      ["walk", "--max-steps", "3", "--dry_run"],
      ["walk", "--max_steps", "3", "--dry-run"],
    ],
    [
      ["walk", "--max-steps=3-4"],
      ["walk", "--max_steps=3-4"],
    ],
    [
      ["walk", "far", "--too-far"],
      ["walk", "far", "--too_far"],
    ],
    // Values stay as they are, whatever they look like.
    [
      ["walk", "--say", "--dry_run", "a_b"],
      ["walk", "--say", "--dry_run", "a_b"],
    ],
    [
      ["walk", "--", "--max-steps"],
      ["walk", "--", "--max-steps"],
    ],
    [
      ["walk", "--max-stops"],
      ["walk", "--max-stops"],
    ],
    [
      ["walk", "-"],
      ["walk", "-"],
    ],
  ])("%j is %j", (args, spelled) => {
    expect(spellAsDeclared(program, args)).toEqual(spelled);
  });
});
