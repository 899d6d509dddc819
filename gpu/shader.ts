import { itemAt } from "../models/certain.ts";
import { SNIPPETS } from "./wgsl/index.ts";

/** A whole number becomes a `u32`, `{ f32 }` a float, a boolean a `bool`; texts only steer `//: if`. */
export type Constant = number | boolean | string | { f32: number };
export type Constants = Readonly<Record<string, Constant>>;

/**
 * Makes a variant of a kernel from its one source. Directives stand on lines of their own, as comments, so that
 * a source reads (and highlights) as plain WGSL:
 *
 * - `//: include NAME` puts a shared snippet in
 * - `//: if NAME`, `//: if NAME == text`, `//: else`, `//: end` keep or drop lines
 * - `//: each i COUNT`, `//: end` write lines out COUNT times, with `$i` the number: for values in registers, which
 *   not every compiler makes of small arrays
 *
 * Constants become `const` declarations at the top; `F16` and `SUBGROUPS`, when true, also enable the extension.
 */
export function specialise(source: string, constants: Constants): string {
  const enables = [
    ...(constants.F16 === true ? ["enable f16;"] : []),
    ...(constants.SUBGROUPS === true ? ["enable subgroups;"] : []),
  ];
  const declared = Object.entries(constants).flatMap(([name, value]) => declare(name, value));
  return [...enables, ...declared, ...expand(include(source.split("\n")), constants)].join("\n");
}

function declare(name: string, value: Constant): string[] {
  if (typeof value === "number") return [`const ${name}: u32 = ${value}u;`];
  if (typeof value === "boolean") return [`const ${name}: bool = ${value};`];
  if (typeof value === "object") return [`const ${name}: f32 = ${Math.fround(value.f32)};`];
  return [];
}

function include(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const name = /^\s*\/\/: include (\w+)\s*$/.exec(line)?.[1];
    if (name === undefined) return [line];
    const snippet = SNIPPETS[name];
    if (snippet === undefined) throw new RangeError(`no WGSL snippet ${name}`);
    return include(snippet.split("\n"));
  });
}

const DIRECTIVE = /^\s*\/\/: (if|each|else|end)(?: (\w+)(?: == (\w+)| (\w+))?)?\s*$/;

/** Carries out `if` and `each`, innermost last. */
function expand(lines: readonly string[], constants: Constants): string[] {
  const out: string[] = [];
  for (let i = 0; i < lines.length; i++) {
    const line = itemAt(lines, i);
    const [, directive, name = "", expected, count = ""] = DIRECTIVE.exec(line) ?? [];
    if (directive === undefined) {
      out.push(line);
      continue;
    }
    if (directive !== "if" && directive !== "each")
      throw new RangeError(`${directive} without its beginning`);
    const { end, middle } = endOf(lines, i);
    const body = lines.slice(i + 1, middle ?? end);
    if (directive === "each") {
      const times = expand(body, constants);
      for (let n = 0; n < countOf(constants[count] ?? Number(count)); n++) {
        out.push(
          ...times.map((line) => line.replaceAll(new RegExp(`\\$${name}(?![A-Za-z0-9])`, "g"), String(n))),
        );
      }
    } else if (holds(name, constants[name], expected)) {
      out.push(...expand(body, constants));
    } else if (middle !== undefined) {
      out.push(...expand(lines.slice(middle + 1, end), constants));
    }
    i = end;
  }
  return out;
}

/** Lines of the `end` (and of the `else`) that belong to the directive on a line. */
function endOf(lines: readonly string[], start: number): { end: number; middle: number | undefined } {
  let depth = 0;
  let middle: number | undefined;
  for (let i = start; i < lines.length; i++) {
    const directive = DIRECTIVE.exec(itemAt(lines, i))?.[1];
    if (directive === "if" || directive === "each") depth++;
    if (directive === "else" && depth === 1) middle = i;
    if (directive === "end" && --depth === 0) return { end: i, middle };
  }
  throw new RangeError(`no end to ${lines[start]}`);
}

function countOf(value: Constant): number {
  if (typeof value === "number" && Number.isInteger(value)) return value;
  throw new RangeError("each needs a whole number");
}

function holds(name: string, value: Constant | undefined, expected: string | undefined): boolean {
  if (value === undefined)
    throw new RangeError(`a kernel asks for the constant ${name}, which it was not given`);
  return expected === undefined ? value === true : String(value) === expected;
}
