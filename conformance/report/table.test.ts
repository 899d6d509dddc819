import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { CASES, reference } from "../../testing/cases.ts";
import { runConformance as run } from "../../testing/run_conformance.ts";

const root = join(import.meta.dirname, "..");

it("the table in README.md names every case folder", () => {
  const text = readFileSync(join(root, "README.md"), "utf8");
  const missing = CASES.filter((name) => !text.includes(`\`${name}\``));
  expect(missing, "run the commands above the table again").toEqual([]);
});

it("conformance table writes a column for each device and dtype, and says where cases fell short", async () => {
  const folder = mkdtempSync(join(tmpdir(), "capstan-table-"));
  try {
    const [a, b, document] = ["a.json", "b.json", "doc.md"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const { stdout } = await run(join(reference, "llama-tied"), "--device", "wasm", "--json");
    writeFileSync(a, stdout);
    const other = JSON.parse(stdout);
    const quantisation = { compared_with: 0.03, worst: { relative_error: 0.0456 } };
    Object.assign(other.cases[0], { dtype: "q8", passed: false, quantisation });
    other.cases[0].runs[0].sites[0].worst_relative_error = null;
    writeFileSync(b, JSON.stringify(other));
    writeFileSync(
      document,
      "above\n<!-- conformance table -->\nold\n<!-- end of the conformance table -->\nbelow\n",
    );
    expect((await run("table", a, b, "--write", document)).code).toBe(0);
    expect(readFileSync(document, "utf8")).toMatch(
      /^above\n<!-- conformance table -->\n\| architecture \| wasm auto, node \| wasm q8, node \| cases \|\n.*\n\| llama \| 0\.\d\d \| \*\*Infinity\*\* \(0 of 1 pass\), loss 0\.046 \| `llama-tied` \|\n\nwasm, in node .*\nq8: .* 3e-2 .*\n<!-- end of the conformance table -->\nbelow\n$/,
    );
    writeFileSync(document, "no place for a table\n");
    expect((await run("table", a, "--write", document)).code).toBe(1);
    expect(readFileSync(document, "utf8")).toBe("no place for a table\n");
    expect((await run("table", a, "--write", a)).code).toBe(2);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
