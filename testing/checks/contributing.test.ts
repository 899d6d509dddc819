import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

/** CONTRIBUTING.md names what is there: files and folders of its walks, npm scripts of its tables. */

const root = join(import.meta.dirname, "..", "..");
const text = readFileSync(join(root, "CONTRIBUTING.md"), "utf8");
const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  scripts: Record<string, string>;
};
const quoted = Array.from(text.matchAll(/`([^`\n]+)`/g), ([, code]) => code!);

it("every path in it that begins with a folder of the repository leads somewhere", () => {
  const paths = quoted
    .flatMap((code) => code.split(/\s+/))
    .filter((part) => /^[\w.-]+\/[\w./-]*$/.test(part) && existsSync(join(root, part.split("/")[0]!)))
    // What tests and builds make.
    .filter((part) => !/node_modules|^\.models\//.test(part));
  expect(paths.length).toBeGreaterThan(50);
  expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

it("every npm script in it is there", () => {
  const named = Array.from(text.matchAll(/`npm (?:run )?([\w-]+)/g), ([, name]) => name!);
  const own = named.filter((name) => !["ci", "install", "test"].includes(name));
  expect(own.length).toBeGreaterThan(3);
  expect(own.filter((name) => scripts[name] === undefined)).toEqual([]);
});
