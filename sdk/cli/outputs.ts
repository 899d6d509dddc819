import type { Command } from "commander";
import { CapstanError } from "../../models/index.ts";
import { decodeSafetensors } from "../checkpoint/safetensors/index.ts";
import { fileKind, fileSize, readFile, realPath, shortPath } from "../platform/index.ts";
import { DEFAULT_MODEL } from "./options.ts";
import { placeholder } from "./stdin.ts";

/** What verbs write, and what they must not write over. */

/** Options that name what is written; every other value that names something there may be read. */
const WRITTEN: ReadonlySet<string> = new Set(["out", "run", "report", "junit", "write"]);
/** Placeholders in `--help` of what is said or shown, and never a path. */
const TEXTS: ReadonlySet<string> = new Set(["text", "prompt"]);

/**
 * Sees to it that a verb overwrites neither one of its inputs nor a file that a run or an evaluation keeps: before anything
 * is read or made.
 *
 * @throws CapstanError `bad_request`
 */
export async function checkOutputs(
  command: Command,
  options: Readonly<Record<string, unknown>>,
  args: readonly unknown[],
): Promise<void> {
  const outputs = new Map<string, string>();
  const inputs: Input[] = [];
  for (const option of command.options) {
    const name = option.attributeName();
    const paths = textsOf(options[name]);
    if (WRITTEN.has(name)) for (const path of paths) outputs.set(`--${option.name()}`, path);
    else inputs.push(...inputsOf(`--${option.name()}`, placeholder(option.flags), paths));
  }
  for (const [i, argument] of command.registeredArguments.entries()) {
    inputs.push(...inputsOf(argument.name(), argument.name(), textsOf(args[i])));
  }
  for (const [name, path] of outputs) await checkOutput(name, path, inputs);
}

/** A path that a verb may read, as the user gave it. */
interface Input {
  said: string;
  path: string;
}

function inputsOf(name: string, holds: string, paths: readonly string[]): Input[] {
  if (TEXTS.has(holds)) return [];
  // The embedded model is no folder of that name.
  return paths.filter((path) => path !== DEFAULT_MODEL).map((path) => ({ said: `${name} ${path}`, path }));
}

async function checkOutput(name: string, path: string, inputs: readonly Input[]): Promise<void> {
  const real = await realPath(path);
  // A device or a pipe may be both.
  if (real === undefined || (await fileKind(path)) === "other") return;
  const action = `write ${name} ${path}`;
  const fix = `Give another ${name}.`;
  for (const input of inputs) {
    if ((await realPath(input.path).catch(() => undefined)) !== real) continue;
    const need = "a place of its own, so that no input is overwritten";
    throw new CapstanError("bad_request", { action, need, found: `the input ${input.said}`, fix });
  }
  const { ownerOf } = await import("../science/run/own_files.ts");
  const owner = await ownerOf(real);
  if (owner === undefined) return;
  const need = "a file that no run and no evaluation keeps";
  throw new CapstanError("bad_request", { action, need, found: `one of ${shortPath(owner)}`, fix });
}

function textsOf(value: unknown): string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.filter((one): one is string => typeof one === "string" && one !== "");
}

/** The experiment's files that verbs write, by the format in their metadata. */
const MAKERS = {
  "capstan.axis": "an axis of an earlier fit",
  "capstan.cap": "caps of an earlier call",
} as const;

/**
 * Refuses to replace a file of another kind: an axis takes the place of an axis, and of nothing else.
 *
 * @throws CapstanError `bad_request`
 */
export async function checkReplaces(path: string, format: keyof typeof MAKERS): Promise<void> {
  const size = await fileSize(path);
  if (size === undefined || size === 0 || (await formatOf(path)) === format) return;
  throw new CapstanError("bad_request", {
    action: `write --out ${path}`,
    need: `a new file, or ${MAKERS[format]} to replace`,
    found: "another file of that name",
    fix: "Give another --out, or remove it.",
  });
}

async function formatOf(path: string): Promise<string | undefined> {
  try {
    const { metadata } = decodeSafetensors(await readFile(path), path);
    const format: unknown = JSON.parse(metadata.format ?? "null");
    return typeof format === "string" ? format : undefined;
  } catch (error) {
    // It is no file of ours, whatever else it is.
    if (error instanceof CapstanError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
