import { CapstanError, show } from "./errors.ts";
import { isObject } from "./json.ts";
import type { Warn } from "./warn.ts";

/** A parsed config.json, unchecked. */
export type RawConfig = Record<string, unknown>;

/** More layers, heads or experts than any model has, and few enough to list. */
const MOST = 4096;

/**
 * Reads fields of a config.json with their types checked. Absent and null are the same thing, as
 * transformers treats them. Every error names the field, what it needs and what stands there.
 */
export class ConfigReader {
  /** The config as it was parsed. */
  readonly raw: RawConfig;
  readonly #where: string;
  readonly #warn: Warn;

  constructor(raw: RawConfig, where = "config.json", warn: Warn = () => {}) {
    this.raw = raw;
    this.#where = where;
    this.#warn = warn;
  }

  /** Whether a field is there and not null. */
  has(name: string): boolean {
    return this.raw[name] !== undefined && this.raw[name] !== null;
  }

  /** A whole number of at least `min`; `fallback` where the field is absent. */
  int(name: string, fallback?: number, min = 1, max = 2 ** 31 - 1): number {
    const value = this.#value(name, fallback, "a whole number");
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max)
      return value;
    throw this.#wrong(name, `a whole number from ${min}${max < 2 ** 31 - 1 ? ` to ${max}` : ""}`, value);
  }

  /** How many there are of something that is listed one by one: layers, heads, experts. */
  count(name: string, fallback?: number): number {
    return this.int(name, fallback, 1, MOST);
  }

  /** A length in tokens; one below 1, which means none, is passed over and said. */
  length(name: string, fallback: number): number {
    const value = this.raw[name];
    if (!(Number.isSafeInteger(value) && (value as number) < 1)) return this.int(name, fallback);
    this.ignore(name, "a number of tokens", value);
    return fallback;
  }

  /** A finite number; `fallback` where the field is absent. */
  number(name: string, fallback?: number): number {
    const value = this.#value(name, fallback, "a number");
    if (typeof value === "number" && Number.isFinite(value)) return value;
    throw this.#wrong(name, "a finite number", value);
  }

  /** A number above 0; `fallback` where the field is absent. */
  positive(name: string, fallback?: number): number {
    const value = this.number(name, fallback);
    if (value > 0) return value;
    throw this.#wrong(name, "a number above 0", value);
  }

  /** True or false; `fallback` where the field is absent. */
  bool(name: string, fallback?: boolean): boolean {
    const value = this.#value(name, fallback, "true or false");
    if (typeof value === "boolean") return value;
    throw this.#wrong(name, "true or false", value);
  }

  /** One of the known texts; `fallback` where the field is absent. Another one is `unsupported`. */
  oneOf<T extends string>(name: string, known: readonly T[], fallback?: T): T {
    const value = this.#value(name, fallback, known.join(" | "));
    if (known.includes(value as T)) return value as T;
    throw this.#wrong(name, known.map((k) => show(k)).join(" or "), value, "unsupported");
  }

  /**
   * One id or a list of ids; [] where the field is absent. A number below 0, which stands for none, is left out and
   * said; so is what is no whole number where `strange` says so.
   */
  ids(name: string, strange: "refuse" | "ignore" = "refuse"): number[] {
    if (!this.has(name)) return [];
    const value = this.raw[name];
    const list: unknown[] = Array.isArray(value) ? value : [value];
    const numbers = list.filter((id): id is number => Number.isSafeInteger(id));
    if (numbers.length < list.length && strange === "refuse") throw this.#wrong(name, "token ids", value);
    const ids = numbers.filter((id) => id >= 0);
    if (ids.length < list.length) this.ignore(name, "an id or a list of ids", value);
    return ids;
  }

  /** Says that a field holds something else than what it is read for, and that it is passed over. */
  ignore(name: string, need: string, found: unknown): void {
    this.#warn(`${this.#where} has ${name} ${show(found)} where ${need} is meant: ignored.`);
  }

  /** A nested object, read the same way; undefined where absent. */
  child(name: string): ConfigReader | undefined {
    if (!this.has(name)) return undefined;
    const value = this.raw[name];
    if (!isObject(value)) throw this.#wrong(name, "an object", value);
    return new ConfigReader(value, `${this.#where} ${name}`, this.#warn);
  }

  /** [length] finite numbers. */
  numbers(name: string, length: number): number[] {
    const value = this.list(name);
    if (value?.length === length && value.every((x) => Number.isFinite(x))) return value as number[];
    throw this.#wrong(name, `${length} numbers`, value);
  }

  /** A list; undefined where the field is absent. */
  list(name: string): unknown[] | undefined {
    if (!this.has(name)) return undefined;
    const value = this.raw[name];
    if (!Array.isArray(value)) throw this.#wrong(name, "a list", value);
    return value;
  }

  /** Refuses behaviour this runtime does not have, by the field's name. */
  refuse(name: string, found: unknown, need: string): never {
    throw this.#wrong(name, need, found, "unsupported");
  }

  #value(name: string, fallback: unknown, need: string): unknown {
    if (this.has(name)) return this.raw[name];
    if (fallback !== undefined) return fallback;
    throw new CapstanError("bad_config", {
      action: `read ${this.#where}`,
      need: `${name} (${need})`,
      found: "no such field",
      fix: "The file may not be a decoder's config.json, or be cut short.",
    });
  }

  #wrong(
    name: string,
    need: string,
    found: unknown,
    code: "bad_config" | "unsupported" = "bad_config",
  ): CapstanError {
    return new CapstanError(code, {
      action: `read ${this.#where}`,
      need: `${name} to be ${need}`,
      found: show(found),
    });
  }
}
