import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../parts.ts";
import { root } from "../runtimes/runtimes.ts";
import { TASKS, type TaskResult } from "../runtimes/tasks.ts";
import { COLUMNS } from "./columns.ts";
import { type Opened, ROWS } from "./rows.ts";

/**
 * The table of runtimes in docs/runtimes.md, cell by cell, against what each runtime does here. `npm run runtimes`
 * writes it again (`CAPSTAN_WRITE_RUNTIMES=1`).
 */

const PATIENCE = 600_000;
const path = join(root, "docs", "runtimes.md");
const writes = process.env.CAPSTAN_WRITE_RUNTIMES === "1";
const MARKS = ["<!-- table of runtimes -->", "<!-- end of the table -->"] as const;

const document = readFileSync(path, "utf8");
const [before, rest] = document.split(MARKS[0]) as [string, string];
const [table, after] = rest.split(MARKS[1]) as [string, string];
const cells = table
  .trim()
  .split("\n")
  .map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
const written = (row: string, column: string): string | undefined =>
  cells.find(([name]) => name === row)?.[cells[0]!.indexOf(column)];

let node: TaskResult<"verbs">;
beforeAll(async () => {
  node = await TASKS.verbs({ device: "wasm", source: "capstan-tiny" });
});

const found = new Map<string, string>();

describe.each(COLUMNS)("$name", (column) => {
  const missing = column.part !== null && lacks(column.part);
  let opened: Opened;
  beforeAll(async () => {
    if (!missing) opened = await column.open();
    return async () => await opened?.runtime[Symbol.asyncDispose]();
  }, PATIENCE);

  it.skipIf(missing).each(ROWS)("$name", { timeout: PATIENCE }, async (row) => {
    if (row.needs_gpu && column.gpu_part !== null && lacks(column.gpu_part)) return;
    const cell = (await row.cell(opened, node)).replaceAll("|", "/");
    found.set(`${column.name} ${row.name}`, cell);
    if (!writes) expect(cell).toBe(written(row.name, column.name));
  });
});

it("has a row for every feature and a column for every runtime, and is written again when asked", () => {
  const header = ["", ...COLUMNS.map(({ name }) => name)];
  if (writes) {
    const rows = ROWS.map(({ name }) => [
      name,
      ...COLUMNS.map((column) => found.get(`${column.name} ${name}`) ?? "not tried"),
    ]);
    const lines = [header, header.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`);
    writeFileSync(path, `${before}${MARKS[0]}\n${lines.join("\n")}\n${MARKS[1]}${after}`);
  } else {
    expect(cells[0]).toEqual(header);
    expect(cells.slice(2).map(([name]) => name)).toEqual(ROWS.map(({ name }) => name));
    expect(cells.flat()).not.toContain("not tried");
  }
});
