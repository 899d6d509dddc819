import { join } from "node:path";
import ts from "typescript";
import { beforeAll, describe, expect, it } from "vitest";

/** Every public type, and every option of a public call, says what it is. */

const root = join(import.meta.dirname, "..", "..");
const ENTRIES = [
  "sdk/index.ts",
  "models/index.ts",
  "sdk/checkpoint/safetensors/index.ts",
  "edge-worker/index.ts",
  "conformance/index.ts",
  "bin/capstan.ts",
].map((name) => join(root, name));

/** A field or a type, with what its comment says. */
interface Documented {
  name: string;
  doc: string;
  /** A field that may be left out, of a type of options. */
  is_option: boolean;
  is_number: boolean;
}

let exported: Documented[];
let fields: Documented[];
/** Public methods and accessors of the exported classes. */
let members: Documented[];

beforeAll(() => {
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile).config,
    ts.sys,
    root,
  );
  const program = ts.createProgram(ENTRIES, options);
  const checker = program.getTypeChecker();
  const symbols = new Map<string, ts.Symbol>();
  for (const entry of ENTRIES) {
    const module = checker.getSymbolAtLocation(program.getSourceFile(entry)!)!;
    for (const found of checker.getExportsOfModule(module)) {
      const symbol = found.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(found) : found;
      symbols.set(symbol.name, symbol);
    }
  }
  const docOf = (symbol: ts.Symbol) =>
    ts.displayPartsToString(symbol.getDocumentationComment(checker)).trim();
  const describeSymbol = (symbol: ts.Symbol, name = symbol.name): Documented => {
    const declaration = symbol.declarations![0]!;
    const type = checker.getNonNullableType(checker.getTypeOfSymbolAtLocation(symbol, declaration));
    return {
      name,
      doc: docOf(symbol),
      is_option: name.includes("Options.") && (symbol.flags & ts.SymbolFlags.Optional) !== 0,
      is_number: (type.flags & ts.TypeFlags.NumberLike) !== 0,
    };
  };
  const kinds = ts.SymbolFlags.Interface | ts.SymbolFlags.TypeAlias | ts.SymbolFlags.Class;
  const callable = ts.SymbolFlags.Function | ts.SymbolFlags.Variable;
  exported = [...symbols.values()]
    .filter(({ flags }) => flags & (kinds | callable))
    .map((one) => describeSymbol(one));
  fields = [...symbols.values()]
    .filter(({ flags }) => flags & ts.SymbolFlags.Interface)
    .flatMap((owner) =>
      [...(owner.members?.values() ?? [])]
        .filter(
          ({ flags, name }) =>
            flags & (ts.SymbolFlags.Property | ts.SymbolFlags.Method) && !name.startsWith("__"),
        )
        .map((field) => describeSymbol(field, `${owner.name}.${field.name}`)),
    );
  const accessible = ts.SymbolFlags.Method | ts.SymbolFlags.Accessor | ts.SymbolFlags.Property;
  members = [...symbols.values()]
    .filter(({ flags }) => flags & ts.SymbolFlags.Class)
    .flatMap((owner) =>
      [...(owner.members?.values() ?? [])]
        .filter(({ flags, name }) => flags & accessible && !/^(__|#)/.test(name))
        .map((member) => describeSymbol(member, `${owner.name}.${member.name}`)),
    );
});

describe("what the package exports", () => {
  it("is found", () => {
    expect(exported.length).toBeGreaterThan(100);
    expect(fields.find(({ name }) => name === "GenerateOptions.temperature")).toMatchObject({
      is_option: true,
      is_number: true,
    });
  });

  it("has a comment on every type and function", () => {
    expect(exported.filter(({ doc }) => doc === "").map(({ name }) => name)).toEqual([]);
  });

  it("has a comment on every option", () => {
    const options = fields.filter(({ is_option }) => is_option);
    expect(options.filter(({ doc }) => doc === "").map(({ name }) => name)).toEqual([]);
  });

  it("has a comment on every member of a class", () => {
    expect(members.length).toBeGreaterThan(30);
    expect(members.filter(({ doc }) => doc === "").map(({ name }) => name)).toEqual([]);
  });

  it("says of every option what it is when left out", () => {
    const options = fields.filter(({ is_option }) => is_option);
    expect(
      options.filter(({ doc }) => !/default/i.test(doc)).map(({ name, doc }) => `${name}: ${doc}`),
    ).toEqual([]);
  });

  it("says of every option that is a number where it may lie and what it is when left out", () => {
    const numbers = fields.filter(({ is_option, is_number }) => is_option && is_number);
    const silent = numbers.filter(
      ({ doc }) => !/Default/.test(doc) || !/\bfrom\b|\bany number\b|\bup to\b/i.test(doc),
    );
    expect(silent.map(({ name, doc }) => `${name}: ${doc}`)).toEqual([]);
  });
});
