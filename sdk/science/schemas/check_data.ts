import { type OutputUnit, type Schema, Validator } from "@cfworker/json-schema";
import { itemAt } from "../../../models/certain.ts";
import { CapstanError, type ErrorCode, isObject, show } from "../../../models/index.ts";
import { nearestName } from "../../common/options.ts";
import { FORMATS } from "./formats.ts";
import type { FormatSchema, JsonSchema, TypeName } from "./schema.ts";

export type FormatName = keyof typeof FORMATS;

/**
 * Checks what was read from a file, or given in its place, against its format (`sdk/science/schemas/*.schema.json`).
 *
 * @param where the file and the item in it, as the error names them: `mine.jsonl line 3`
 * @throws CapstanError `bad_file` (or `code`): action, the field and what it must be, what it is, how to repair it
 */
export function checkData(
  value: unknown,
  format: FormatName,
  where: string,
  code: ErrorCode = "bad_file",
): void {
  const action = `read ${where}`;
  let errors: OutputUnit[];
  try {
    errors = validatorOf(format).validate(value).errors;
  } catch (cause) {
    // A name that is no Unicode text has no JSON pointer.
    throw new CapstanError(code, { action, need: "JSON of well-formed text", found: show(value) }, { cause });
  }
  const at = errors.findIndex(({ keyword }) => !CONTAINERS.has(keyword));
  if (at >= 0) throw new CapstanError(code, { action, ...partsOf(errors, at, value, FORMATS[format]) });
}

const validators = new Map<FormatName, Validator>();

function validatorOf(format: FormatName): Validator {
  // A copy: the validator writes into schemas, and formats share parts.
  const made =
    validators.get(format) ?? new Validator(structuredClone(FORMATS[format]) as unknown as Schema, "2019-09");
  validators.set(format, made);
  return made;
}

/** Errors that only say that one after them was found inside. */
const CONTAINERS: ReadonlySet<string> = new Set([
  "$ref",
  "if",
  "allOf",
  "items",
  "properties",
  "additionalProperties",
]);

interface Parts {
  need: string;
  found: string;
  fix?: string;
}

function partsOf(errors: readonly OutputUnit[], at: number, root: unknown, schema: FormatSchema): Parts {
  const error = itemAt(errors, at);
  const path = segmentsOf(error.instanceLocation);
  // Of a field that may not be there the library gives no place in the schema; the error before it has one.
  const is_unknown = error.keyword === "false";
  const place = is_unknown ? (errors[at - 1]?.keywordLocation ?? "#") : error.keywordLocation;
  const node = schemaAt(schema, segmentsOf(place).slice(0, -1));
  if (is_unknown) return unknownField(path, node);
  const found = valueAt(root, path);
  if (error.keyword === "required") return missingField(path, found, node);
  const need = path.length === 0 ? needOf(node) : `${fieldPath(path)} to be ${needOf(node)}`;
  return { need, found: show(found), ...meant(typeof found === "string" ? found : "", node.enum ?? []) };
}

function missingField(path: readonly string[], found: unknown, node: JsonSchema): Parts {
  const object = isObject(found) ? found : {};
  const missing = (node.required ?? []).find((name) => !Object.hasOwn(object, name)) ?? "";
  const strange = Object.keys(object).filter((name) => !Object.hasOwn(node.properties ?? {}, name));
  const typo = strange.find((name) => nearestName(name, [missing]) !== undefined);
  const need = `${fieldPath([...path, missing])}, ${needOf(node.properties?.[missing] ?? {})}`;
  if (typo === undefined) return { need, found: "none" };
  return { need, found: show(typo), fix: `Is ${missing} meant?` };
}

function unknownField(path: readonly string[], node: JsonSchema): Parts {
  const known = Object.keys(node.properties ?? {});
  const said = { need: "known fields", found: show(fieldPath(path)) };
  return { ...said, fix: `Known are ${known.join(", ")}.`, ...meant(path.at(-1) ?? "", known) };
}

function meant(name: string, known: readonly string[]): { fix?: string } {
  const nearest = nearestName(name, known);
  return nearest === undefined ? {} : { fix: `Is ${nearest} meant?` };
}

/** What a value must be, as an error says it. */
function needOf(node: JsonSchema): string {
  if (node.const !== undefined) return show(node.const);
  if (node.enum !== undefined) return node.enum.map((name) => show(name)).join(" or ");
  const types = typeof node.type === "string" ? [node.type] : (node.type ?? []);
  const kind = types.map((type) => TYPES[type]).join(" or ") || "there";
  return `${kind}${boundsOf(node)}`;
}

const TYPES: Readonly<Record<TypeName, string>> = {
  object: "an object",
  array: "a list",
  string: "a text",
  number: "a number",
  integer: "a whole number",
  boolean: "true or false",
  null: "null",
};

function boundsOf({ minimum, maximum, minLength, minItems, minProperties, pattern }: JsonSchema): string {
  return [
    minimum === undefined ? "" : ` from ${minimum}`,
    maximum === undefined ? "" : ` to ${maximum}`,
    minLength === undefined ? "" : " that is not empty",
    minItems === undefined ? "" : ` of at least ${minItems}`,
    minProperties === undefined ? "" : ` of at least ${minProperties}`,
    pattern === undefined ? "" : ` like /${pattern}/`,
  ].join("");
}

/** `check.phrases[2]`. */
function fieldPath(path: readonly string[]): string {
  return path.map((part, i) => (/^\d+$/.test(part) ? `[${part}]` : i === 0 ? part : `.${part}`)).join("");
}

/** The parts of a JSON pointer `#/a/b`. */
function segmentsOf(pointer: string): string[] {
  const parts = pointer.split("/").slice(1);
  return parts.map((part) => decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~"));
}

function valueAt(root: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, part) => (value as Record<string, unknown> | undefined)?.[part], root);
}

/** The part of a schema where a keyword was judged, references followed. */
function schemaAt(schema: FormatSchema, path: readonly string[]): JsonSchema {
  return path.reduce<JsonSchema>((node, part) => {
    if (part === "$ref") return schema.$defs?.[node.$ref?.split("/").at(-1) ?? ""] ?? {};
    return ((node as Record<string, unknown>)[part] ?? {}) as JsonSchema;
  }, schema);
}
