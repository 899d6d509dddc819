import { readdirSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { expect, it } from "vitest";
import folders from "../../scripts/folders.json" with { type: "json" };

/** Refused terms, each with the one that the code and the docs use instead (the glossary in CONTRIBUTING.md). */
const TERMS: Readonly<Record<string, string>> = {
  anew: "again",
  door: "API, entry or binding",
  doors: "APIs, entries or bindings",
  mend: "fix",
  mended: "fixed",
  mends: "fixes",
  room: "space, tolerance or folder",
  rooms: "folders",
  soften: "softmax or softcap",
  told: "reported",
};

/** Identifiers that were renamed, each with its new name. */
const IDENTIFIERS: Readonly<Record<string, string>> = {
  Flight: "InFlightStep",
  RunningCall: "CallProgress",
  goOn: "advance",
  meet_site: "hook",
  waits_belong_to_requests: "io_bound_to_request",
};

const root = join(import.meta.dirname, "..", "..");
const SKIPPED = [
  "node_modules",
  "target",
  "pkg",
  "dist",
  "reference",
  "training",
  "published",
  "checks",
  "fixtures",
];
const FOLDERS = [...Object.keys(folders), "docs", "scripts"];

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return SKIPPED.includes(entry.name) ? [] : sources(path);
    return /\.(ts|mjs|rs|wgsl|md)$/.test(entry.name) ? [path] : [];
  });
}

/** The parts of identifiers and the terms of prose: `FileRoom`, `file_room` and "a room" all hold "room". */
function termsOf(line: string): string[] {
  return line
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .split(/[^A-Za-z]+/)
    .map((part) => part.toLowerCase());
}

it("code and docs use the terms of the glossary", () => {
  const files = [...FOLDERS.flatMap(sources), "README.md", "CONTRIBUTING.md"];
  expect(files.length).toBeGreaterThan(500);
  const wrong = files.flatMap((path) => {
    const lines = readFileSync(join(root, path), "utf8").split("\n");
    return lines.flatMap((line, i) => {
      const at = `${path.replaceAll(sep, "/")}:${i + 1}`;
      const terms = termsOf(line).filter((term) => Object.hasOwn(TERMS, term));
      const names = Object.keys(IDENTIFIERS).filter((name) => new RegExp(`\\b${name}\\b`).test(line));
      return [
        ...terms.map((term) => `${at}: "${term}", use ${TERMS[term]}`),
        ...names.map((name) => `${at}: ${name}, use ${IDENTIFIERS[name]}`),
      ];
    });
  });
  expect(wrong).toEqual([]);
});
