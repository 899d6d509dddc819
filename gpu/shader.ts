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
 *
 * Constants become `const` declarations at the top; `F16` and `SUBGROUPS`, when true, also enable the extension.
 */
export function specialise(source: string, constants: Constants): string {
  const enables = [
    ...(constants.F16 === true ? ["enable f16;"] : []),
    ...(constants.SUBGROUPS === true ? ["enable subgroups;"] : []),
  ];
  const declared = Object.entries(constants).flatMap(([name, value]) => declare(name, value));
  return [...enables, ...declared, ...choose(include(source.split("\n")), constants)].join("\n");
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

function choose(lines: readonly string[], constants: Constants): string[] {
  const open: { taken: boolean }[] = [];
  return lines.filter((line) => {
    const [, word, name, , expected] = /^\s*\/\/: (if|else|end)(?: (\w+)( == (\w+))?)?\s*$/.exec(line) ?? [];
    const kept = open.every(({ taken }) => taken);
    if (word === "if") open.push({ taken: kept && holds(constants[name!], expected) });
    else if (word === "else") open.at(-1)!.taken = !open.at(-1)!.taken;
    else if (word === "end") open.pop();
    else return kept;
    return false;
  });
}

function holds(value: Constant | undefined, expected: string | undefined): boolean {
  if (value === undefined) throw new RangeError("a kernel asks for a constant that it was not given");
  return expected === undefined ? value === true : String(value) === expected;
}
