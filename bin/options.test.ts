import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command, Option } from "commander";
import { describe, expect, it } from "vitest";
import { createCli } from "../sdk/cli/index.ts";
import { VERBS } from "./capstan.ts";

const root = join(import.meta.dirname, "..");

/**
 * Options that no test gives a verb yet, as `verb --option`. A new option does not go here: it gets a test that calls
 * the verb with it, in one of the files of `TESTS`.
 */
const UNTRIED: ReadonlySet<string> = new Set<string>([]);

/** Test files that call the command with options. */
const TESTS = [
  "bin/capstan.test.ts",
  "bin/chat.test.ts",
  "bin/memory.test.ts",
  "bin/pull.test.ts",
  "conformance/check/cli.test.ts",
  "conformance/distance/distance.test.ts",
  "conformance/report/diff.test.ts",
  "conformance/report/make.test.ts",
  "conformance/report/report.test.ts",
  "conformance/report/table.test.ts",
].map((path) => readFileSync(join(root, path), "utf8"));

function commandsOf(command: Command, path: readonly string[] = []): { path: string; command: Command }[] {
  return command.commands.flatMap((one) => {
    const own = [...path, one.name()];
    return [{ path: own.join(" "), command: one }, ...commandsOf(one, own)];
  });
}

const commands = commandsOf(await createCli(VERBS, []));
const options = commands.flatMap(({ path, command }) =>
  command.options.map((option) => ({ name: `${path} ${option.long}`, path, command, option })),
);

/** Whether a test calls this verb with this option, in either spelling. */
function isTried(path: string, option: Option): boolean {
  const verb = path.split(" ").at(-1)!;
  const flag = option.long!.replaceAll(/(?<=\w)[-_]/g, "[-_]");
  return TESTS.some(
    (text) => new RegExp(`"${verb}"`).test(text) && new RegExp(`["\\s]${flag}["=\\s]`).test(text),
  );
}

describe("every option of every verb", () => {
  it("is there to be looked at", () => {
    expect(commands.map(({ path }) => path)).toEqual(
      expect.arrayContaining(["chat", "plot", "conformance make"]),
    );
    expect(options.length).toBeGreaterThan(80);
  });

  it("is in --help, with its default where it takes a value", () => {
    const wrong = options.filter(({ command, option }) => {
      const help = command.helpInformation().replaceAll(/\s+/g, " ");
      const says =
        option.mandatory || /default/.test(option.description) || option.defaultValue !== undefined;
      return !help.includes(option.flags) || !(option.isBoolean() || says);
    });
    expect(wrong.map(({ name }) => name)).toEqual([]);
  });

  it("is given to its verb by a test, unless it is named as untried; none is named in vain", () => {
    const untried = options.filter(({ path, option }) => !isTried(path, option)).map(({ name }) => name);
    expect(untried.sort()).toEqual([...UNTRIED].sort());
  });
});
