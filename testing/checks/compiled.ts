import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import ts from "typescript";

/** Edits of sources that are made nowhere but in a compiler's memory, to see what it then misses. */

const root = join(import.meta.dirname, "..", "..");

/** Text that a file holds exactly once, and what to put in its place. */
export interface Edit {
  file: string;
  find: string;
  replace: string;
}

function edited({ file, find, replace }: Edit, folder = root): string {
  const parts = readFileSync(join(folder, file), "utf8").split(find);
  if (parts.length !== 2) throw new Error(`${file} holds ${JSON.stringify(find)} ${parts.length - 1} times`);
  return parts.join(replace);
}

/** An error of a compiler: its file, from the repository's root, and its text. */
export interface Missed {
  file: string;
  text: string;
}

/**
 * What tsc says of sources with edits, all made at once.
 *
 * @param entries files that lead to what is checked
 */
export function missedByTypes(edits: readonly Edit[], entries: readonly string[]): Missed[] {
  const config = ts.readConfigFile(join(root, "tsconfig.json"), (path) => readFileSync(path, "utf8"));
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root);
  const host = ts.createCompilerHost(options);
  const texts = new Map(edits.map((edit) => [join(root, edit.file), edited(edit)]));
  const read = host.readFile.bind(host);
  host.readFile = (path) => texts.get(join(path)) ?? read(path);
  const rootNames = entries.map((entry) => join(root, entry));
  const program = ts.createProgram({ rootNames, options, host });
  const own = program.getSourceFiles().filter(({ fileName }) => !/node_modules|\.d\.ts$/.test(fileName));
  return own.flatMap((file) =>
    program.getSemanticDiagnostics(file).map(({ messageText }) => ({
      file: relative(root, file.fileName).split(sep).join("/"),
      text: ts.flattenDiagnosticMessageText(messageText, "\n"),
    })),
  );
}

/** What cargo says of the engine's crate with edits, made in a copy. */
export function missedByRust(edits: readonly Edit[]): Missed[] {
  const copy = mkdtempSync(join(tmpdir(), "capstan-walk-"));
  try {
    const own = (path: string) => !/[\\/](target|pkg|node_modules)$/.test(path);
    cpSync(join(root, "core-wasm"), join(copy, "core-wasm"), { recursive: true, filter: own });
    for (const edit of edits) writeFileSync(join(copy, edit.file), edited(edit, copy));
    const { stdout } = spawnSync(
      "cargo",
      ["check", "--quiet", "-p", "capstan-core", "--message-format=json"],
      {
        cwd: join(copy, "core-wasm"),
        env: { ...process.env, CARGO_TARGET_DIR: join(root, "core-wasm", "target", "walks") },
        encoding: "utf8",
        maxBuffer: 2 ** 28,
      },
    );
    return stdout
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .flatMap((line) => errorsOf(JSON.parse(line) as CargoLine));
  } finally {
    rmSync(copy, { recursive: true });
  }
}

interface CargoLine {
  reason: string;
  message?: { level: string; message: string; spans: { file_name: string; is_primary: boolean }[] };
}

function errorsOf({ reason, message }: CargoLine): Missed[] {
  if (reason !== "compiler-message" || message?.level !== "error") return [];
  const at = message.spans.filter(({ is_primary }) => is_primary);
  return at.map(({ file_name }) => ({ file: `core-wasm/${file_name}`, text: message.message }));
}
