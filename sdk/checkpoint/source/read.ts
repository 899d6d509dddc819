import { CapstanError, isObject, show } from "../../../models/index.ts";
import type { FileSource } from "../../types.ts";
import { parsePythonJson } from "./python_json.ts";

/** The most a text file of a model may weigh; the largest real one (a tokenizer.json) is under 40 MB. */
const MAX_TEXT_BYTES = 256 * 2 ** 20;

/** Bytes of a text file, or undefined where there is none. Throws `bad_file` when it is too large. */
export async function readSourceBytes(source: FileSource, name: string): Promise<Uint8Array | undefined> {
  const size = await source.size(name);
  if (size === undefined) return undefined;
  if (size > MAX_TEXT_BYTES) throw broken(name, `at most ${MAX_TEXT_BYTES} bytes`, `${size}`);
  return await source.read(name, 0, size);
}

/** Text of a file, or undefined where there is none. Throws `bad_file` when it is too large or not UTF-8. */
export async function readSourceText(source: FileSource, name: string): Promise<string | undefined> {
  const bytes = await readSourceBytes(source, name);
  if (bytes === undefined) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    if (cause instanceof CapstanError) throw cause;
    throw broken(name, "UTF-8 text", "bytes that are not UTF-8", cause);
  }
}

/**
 * A JSON object from a file, or undefined where there is none. `NaN` and the infinities are read as Python writes them.
 *
 * @throws CapstanError `bad_file`
 */
export async function readSourceJson(
  source: FileSource,
  name: string,
): Promise<Record<string, unknown> | undefined> {
  const text = await readSourceText(source, name);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = parsePythonJson(text);
  } catch (cause) {
    throw broken(
      name,
      "JSON",
      text.trim() === "" ? "an empty file" : String((cause as Error).message),
      cause,
    );
  }
  if (isObject(value)) return value;
  throw broken(name, "a JSON object", show(value));
}

function broken(name: string, need: string, found: string, cause?: unknown): CapstanError {
  const fix = "The file may be cut short or be of another kind.";
  return new CapstanError("bad_file", { action: `read ${name}`, need, found, fix }, { cause });
}
