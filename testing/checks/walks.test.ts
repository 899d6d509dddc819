import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { everyKind } from "../../conformance/contract/checks/sites.ts";
import { TINIES } from "../../conformance/contract/tiny.ts";
import { STORED_DTYPES } from "../../core-wasm/engine/load.ts";
import { HOOK_OPS } from "../../models/codes.ts";
import { buildProgram, planHooks } from "../../models/index.ts";
import { SAMPLE_NUMBERS } from "../../models/sample_numbers.ts";
import { lacks } from "../parts.ts";
import { type Missed, missedByRust, missedByTypes } from "./compiled.ts";

/**
 * CONTRIBUTING's walks. Each is begun in a compiler's memory, and what the compilers then miss must be what the walk names;
 * what no compiler shows is looked for in the sources, for everything of its kind that is there.
 * An architecture's walk is done in conformance/check/made_up.test.ts, a record's also in gpu/layout/record.test.ts.
 */

const root = join(import.meta.dirname, "..", "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

/** A walk's text. */
function walk(title: string): string {
  const [, text] = read("CONTRIBUTING.md").split(`\n## ${title}\n`);
  if (text === undefined) throw new Error(`CONTRIBUTING.md has no walk "${title}"`);
  return text.split("\n## ")[0] ?? "";
}

/** Files that speak of a name, once each. */
function filesOf(missed: readonly Missed[], name: string): string[] {
  const of = missed.filter(({ text }) => new RegExp(`\\b${name}\\b`, "i").test(text));
  return [...new Set(of.map(({ file }) => file))].sort();
}

/** Files that a walk does not name, neither by themselves nor by their folder. */
function unnamed(title: string, files: readonly string[]): string[] {
  const text = walk(title);
  const names = (path: string) => text.includes(`\`${path}\``) || text.includes(`\`${path}/\``);
  return files.filter((file) => !names(file) && !names(file.slice(0, file.lastIndexOf("/"))));
}

/** Names that a source does not use. */
function unused(path: string, names: readonly string[]): string[] {
  const text = read(path);
  return names.filter((name) => !new RegExp(`\\b${name}\\b`).test(text));
}

const pascal = (name: string) =>
  name.replace(/(^|_)([a-z0-9])/g, (_, __, first: string) => first.toUpperCase());

let missed: Missed[];
beforeAll(() => {
  missed = missedByTypes(
    [
      {
        file: "models/program.ts",
        find: '  | { op: "gather"',
        replace: '  | { op: "clip" }\n  | { op: "gather"',
      },
      {
        file: "gpu/plan.ts",
        find: '  | { kind: "sample" }',
        replace: '  | { kind: "clipping" } | { kind: "sample" }',
      },
      {
        file: "models/hooks.ts",
        find: '  | { op: "remove"',
        replace: '  | { op: "swap"; site: SiteId }\n  | { op: "remove"',
      },
      {
        file: "models/sample_numbers.ts",
        find: '  min_p: "f64",',
        replace: '  typical_p: "f64",\n  min_p: "f64",',
      },
      { file: "gpu/layout/step.ts", find: '  entry: "u32",', replace: '  entry: "u32",\n  lag: "u32",' },
    ],
    ["models", "core-wasm", "gpu", "sdk", "conformance", "conformance/contract"].map(
      (name) => `${name}/index.ts`,
    ),
  );
}, 300_000);

describe("adding an op", () => {
  const title = "Adding an op";
  const ops = [
    ...new Set(TINIES.flatMap(({ decoder }) => buildProgram(decoder).ops.map(({ op }) => op))),
  ].sort();

  it("the compiler shows the truth and the GPU's plan, and of a stage its kernels and its buffers", () => {
    const places = [filesOf(missed, "clip"), filesOf(missed, "clipping")];
    expect(places).toEqual([
      ["conformance/truth/ops/index.ts", "gpu/plan.ts"],
      ["gpu/ops/index.ts", "gpu/share.ts"],
    ]);
    expect(unnamed(title, places.flat())).toEqual([]);
  });

  it("the contract runs a program with each", () => {
    const declared = Array.from(read("models/program.ts").matchAll(/\bop: "(\w+)"/g), ([, name]) => name);
    expect(ops).toEqual([...new Set(declared)].sort());
  });

  it("the engine has each", () => {
    const variants = ops.map((op) => `Op::${pascal(op)}`);
    expect(unused("core-wasm/engine/src/step.rs", variants)).toEqual([]);
    expect(unused("core-wasm/engine/src/program.rs", ops.map(pascal))).toEqual([]);
  });
});

describe("adding a hook", () => {
  const title = "Adding a hook";
  const codes = Object.keys(HOOK_OPS);

  it("the compiler shows the codes, the truth, and where hooks are packed, distinguished and compared", () => {
    const places = filesOf(missed, "swap");
    expect(places).toEqual([
      "conformance/truth/ops/sites.ts",
      "core-wasm/engine/batch.ts",
      "gpu/hooks.ts",
      "models/codes.ts",
      "sdk/inference/scheduler/hook_sets.ts",
    ]);
    expect(unnamed(title, places)).toEqual([]);
  });

  it("the engine and the kernel act by each code", () => {
    const rust = "core-wasm/engine/src/hooks.rs";
    const wgsl = "gpu/wgsl/hooks.ts";
    expect(
      unused(
        rust,
        codes.map((code) => `hook_ops::${code.toUpperCase()}`),
      ),
    ).toEqual([]);
    // What the kernel does with none of the others is a projection.
    const distinguished = codes
      .filter((code) => code !== "project")
      .map((code) => `HOOK_${code.toUpperCase()}`);
    expect(unused(wgsl, distinguished)).toEqual([]);
    expect(unnamed(title, [rust, wgsl])).toEqual([]);
  });

  it("the contract runs every form, and reference cases every kind that changes something", () => {
    const [{ decoder }] = TINIES;
    const site = "blocks.0.hook_resid_post";
    const hooks = everyKind({ program: buildProgram(decoder) }, site, 1, "all");
    const { vector } = hooks[0] ?? {};
    const planned = planHooks(decoder.spec, [
      ...hooks,
      { kind: "project", site, vector: vector ?? new Float32Array(0) },
    ]);
    expect([...new Set(planned.hooks.map(({ op }) => op))].sort()).toEqual([...codes].sort());
    const reference = join(root, "conformance", "reference");
    const cases = readdirSync(reference).filter((name) => existsSync(join(reference, name, "case.json")));
    const texts = cases.map((name) => readFileSync(join(reference, name, "case.json"), "utf8")).join("\n");
    for (const kind of new Set(hooks.map(({ kind }) => kind))) expect(texts).toMatch(`"kind": "${kind}"`);
  });
});

describe("adding a sampling parameter", () => {
  const title = "Adding a sampling parameter";
  const names = Object.keys(SAMPLE_NUMBERS);
  /** What the scheduler fills in, and the option that says it otherwise. */
  const filled = ["n_prompt", "draw", "top_logprobs"];

  it("the compiler shows where the parameters are written out", () => {
    const places = filesOf(missed, "typical_p");
    expect(places).toEqual(["conformance/contract/params.ts", "sdk/inference/sampling.ts"]);
    expect(unnamed(title, places)).toEqual([]);
  });

  it("the truth, the engine, the contract and the options know each", () => {
    const rust = "core-wasm/engine/src/sample.rs";
    const truth = "conformance/truth/ops/sample.ts";
    const options = "sdk/common/sampling_rules.ts";
    expect(
      unused(
        truth,
        names.filter((name) => name !== "draw"),
      ),
    ).toEqual([]);
    expect(unused(rust, names)).toEqual([]);
    expect(
      unused(
        options,
        names.filter((name) => !filled.includes(name)),
      ),
    ).toEqual([]);
    const checks = "conformance/contract/checks";
    const claims = readdirSync(join(root, checks))
      .map((name) => read(`${checks}/${name}`))
      .join("\n");
    expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(claims))).toEqual([]);
    expect(unnamed(title, [rust, truth, options])).toEqual([]);
  });
});

describe("adding a field to a record", () => {
  it("the compiler shows the writer", () => {
    const places = filesOf(missed, "lag");
    expect(places).toEqual(["gpu/batch.ts"]);
    expect(walk("Adding a field to a record")).toContain(
      "The compiler shows each writer that lacks the field",
    );
  });
});

describe("adding a weight format", () => {
  const folder = "core-wasm/engine/src/formats";

  it("each that the engine stores is a file and a variant, which nothing else of the engine names", () => {
    for (const name of STORED_DTYPES) expect(existsSync(join(root, folder, `${name}.rs`)), name).toBe(true);
    expect(unused(`${folder}/mod.rs`, STORED_DTYPES.map(pascal))).toEqual([]);
    const src = "core-wasm/engine/src";
    const others = readdirSync(join(root, src), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".rs") && !path.startsWith("formats"))
      .filter((path) => /StoredDtype::/.test(read(`${src}/${path}`).split("#[cfg(test)]")[0] ?? ""));
    expect(others).toEqual([]);
  });
});

describe.skipIf(lacks("cargo"))("in Rust", () => {
  let missed: Missed[];
  beforeAll(() => {
    missed = missedByRust([
      {
        file: "core-wasm/engine/src/program.rs",
        find: "pub enum Op {\n",
        replace: "pub enum Op {\n    Clip { out: Buffer },\n",
      },
      {
        file: "core-wasm/engine/src/formats/mod.rs",
        find: "pub enum StoredDtype {\n",
        replace: "pub enum StoredDtype {\n    Q2,\n",
      },
    ]);
  }, 600_000);

  it("the compiler misses an op where it is checked and where it is run", () => {
    const places = filesOf(missed, "Clip");
    expect(places).toEqual(["core-wasm/engine/src/program.rs", "core-wasm/engine/src/step.rs"]);
    expect(unnamed("Adding an op", ["core-wasm/engine/src/program.rs"])).toEqual([]);
    expect(walk("Adding an op")).toContain("`StepRun::op` of `step.rs`");
  });

  it("the compiler misses a format in the table of formats alone", () => {
    const places = filesOf(missed, "Q2");
    expect(places).toEqual(["core-wasm/engine/src/formats/mod.rs"]);
    expect(unnamed("Adding a weight format", places)).toEqual([]);
  });
});
