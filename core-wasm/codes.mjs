/**
 * Writes the Rust module of what TypeScript, Rust and WGSL share, `engine/src/codes.rs`, from models/codes.ts and
 * models/sample_numbers.ts: `node core-wasm/codes.mjs`. `--check` fails instead where the file is another.
 * `build.mjs` runs it before each build.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const RUST = new URL("engine/src/codes.rs", import.meta.url);
const MODELS = new URL("../models/", import.meta.url);

/** A module of TypeScript that imports nothing but types, run: Node 20 reads no TypeScript. */
async function run(name) {
  const { outputText } = ts.transpileModule(readFileSync(new URL(name, MODELS), "utf8"), {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  });
  return await import(`data:text/javascript,${encodeURIComponent(outputText)}`);
}

function constants([name, codes]) {
  const lines = Object.entries(codes).map(
    ([code, value]) => `    pub const ${code.toUpperCase()}: u32 = ${value};`,
  );
  return [`pub mod ${name.toLowerCase()} {`, ...lines, "}"];
}

function struct(name, fields) {
  const all = Object.entries(fields);
  return [
    "#[derive(Clone, Copy, Debug)]",
    `pub struct ${name} {`,
    ...all.map(([field, type]) => `    pub ${field}: ${type},`),
    "}",
    "",
    `impl ${name} {`,
    "    pub fn read(packed: &mut PackedReader) -> Result<Self> {",
    "        Ok(Self {",
    ...all.map(([field, type]) => `            ${field}: packed.${type}()?,`),
    "        })",
    "    }",
    "}",
  ];
}

async function rust() {
  const codes = await run("codes.ts");
  const { SAMPLE_NUMBERS } = await run("sample_numbers.ts");
  const modules = Object.entries(codes).flatMap((entry) => ["", ...constants(entry)]);
  return [
    "//! What TypeScript, Rust and WGSL share. Made by core-wasm/codes.mjs from models/codes.ts and",
    "//! models/sample_numbers.ts: change those, and run it.",
    "",
    "use crate::error::Result;",
    "use crate::packed::PackedReader;",
    ...modules,
    "",
    "/// The numbers of `SampleParams` in `models/device.ts`.",
    ...struct("SampleNumbers", SAMPLE_NUMBERS),
    "",
  ].join("\n");
}

/** Brings the Rust module up to the TypeScript. */
export async function writeCodes() {
  writeFileSync(RUST, await rust());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!process.argv.includes("--check")) await writeCodes();
  else if (readFileSync(RUST, "utf8").replaceAll("\r\n", "\n") !== (await rust()))
    throw new Error("core-wasm/engine/src/codes.rs is not what models/ says: run node core-wasm/codes.mjs");
}
