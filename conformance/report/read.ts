import { CapstanError, type ErrorCode, show } from "../../models/index.ts";
import { fileKind, readText } from "../../sdk/platform/index.ts";
import type { CaseReport, Pass } from "../check/report.ts";

/** What a later command reads of a case that `capstan conformance --json` reported. */
export interface ReadCase extends Pick<CaseReport, "case" | "architecture" | "passed" | "device" | "dtype"> {
  runs: ReadRun[];
  /** Null in files of versions that did not report it. */
  runtime: string | null;
  /** With q8 and q4. */
  quantisation: ReadLoss | null;
}

export interface ReadLoss {
  compared_with: number;
  worst: { relative_error: number };
}

export interface ReadRun {
  name: string;
  pass: Pass;
  passed: boolean;
  sites: { site: string; worst_relative_error: number; bound: number }[];
}

/**
 * Reads what `capstan conformance --json` printed.
 *
 * @throws CapstanError `not_found`; `bad_file` naming the field that is missing or wrong
 */
export async function readRunFile(path: string): Promise<ReadCase[]> {
  const wrong = (need: string, found: string, code: ErrorCode = "bad_file") =>
    new CapstanError(code, {
      action: `read ${path}`,
      need,
      found,
      fix: "`capstan conformance CASE... --json > FILE` writes one.",
    });
  if ((await fileKind(path)) === "none") throw wrong("it to exist", "nothing there", "not_found");
  const text = await readText(path);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong("JSON", "text that is none");
  }
  return new Reader(wrong).cases(value);
}

class Reader {
  readonly #wrong: (need: string, found: string) => CapstanError;

  constructor(wrong: (need: string, found: string) => CapstanError) {
    this.#wrong = wrong;
  }

  cases(value: unknown): ReadCase[] {
    const cases = this.#list(value, "cases", "the file").map((one, i) => this.#case(one, `cases[${i}]`));
    const names = new Set(cases.map(({ case: name }) => name));
    if (names.size === cases.length) return cases;
    throw this.#wrong("each case once", `${names.size} names for ${cases.length} cases`);
  }

  #case(value: unknown, where: string): ReadCase {
    const device = this.#field(value, "device", where);
    return {
      case: this.#text(value, "case", where),
      architecture: this.#text(value, "architecture", where),
      passed: this.#truth(value, "passed", where),
      device: {
        kind: this.#text(device, "kind", `${where}.device`),
        description: this.#text(device, "description", `${where}.device`),
      },
      runtime:
        this.#field(value, "runtime", where) === undefined ? null : this.#text(value, "runtime", where),
      dtype: this.#text(value, "dtype", where),
      runs: this.#list(value, "runs", where).map((run, i) => this.#run(run, `${where}.runs[${i}]`)),
      quantisation: this.#loss(this.#field(value, "quantisation", where), `${where}.quantisation`),
    };
  }

  /** Nothing in the files of versions that did not report it. */
  #loss(value: unknown, where: string): ReadLoss | null {
    if (value === null || value === undefined) return null;
    const worst = this.#field(value, "worst", where);
    return {
      compared_with: this.#number(this.#field(value, "compared_with", where), `${where}.compared_with`),
      worst: { relative_error: this.#error(worst, "relative_error", `${where}.worst`) },
    };
  }

  #run(value: unknown, where: string): ReadRun {
    const pass = this.#text(value, "pass", where);
    if (pass !== "prefill" && pass !== "stepwise")
      throw this.#wrong(`${where}.pass prefill or stepwise`, pass);
    return {
      name: this.#text(value, "name", where),
      pass,
      passed: this.#truth(value, "passed", where),
      sites: this.#list(value, "sites", where).map((site, i) => {
        const at = `${where}.sites[${i}]`;
        return {
          site: this.#text(site, "site", at),
          worst_relative_error: this.#error(site, "worst_relative_error", at),
          bound: this.#number(this.#field(site, "bound", at), `${at}.bound`),
        };
      }),
    };
  }

  /** JSON has no Infinity: null is what stands for it. */
  #error(value: unknown, name: string, where: string): number {
    const error = this.#field(value, name, where);
    return error === null ? Number.POSITIVE_INFINITY : this.#number(error, `${where}.${name}`);
  }

  #number(value: unknown, where: string): number {
    if (typeof value === "number" && value >= 0) return value;
    throw this.#wrong(`${where}, a number from 0`, show(value));
  }

  #text(from: unknown, name: string, where: string): string {
    const value = this.#field(from, name, where);
    if (typeof value === "string") return value;
    throw this.#wrong(`${where}.${name} as text`, show(value));
  }

  #truth(from: unknown, name: string, where: string): boolean {
    const value = this.#field(from, name, where);
    if (typeof value === "boolean") return value;
    throw this.#wrong(`${where}.${name} true or false`, show(value));
  }

  #list(from: unknown, name: string, where: string): unknown[] {
    const value = this.#field(from, name, where);
    if (Array.isArray(value)) return value;
    throw this.#wrong(`${where}.${name} as a list`, show(value));
  }

  #field(from: unknown, name: string, where: string): unknown {
    if (typeof from === "object" && from !== null) return (from as Record<string, unknown>)[name];
    throw this.#wrong(`${where} as an object`, show(from));
  }
}
