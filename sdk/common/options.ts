import { CapstanError, show } from "../../models/index.ts";
import type { CacheOptions, QueueOptions } from "../types.ts";
import { isIntegerArray } from "./token_ids.ts";

/** What an option may be. */
export interface Rule {
  /** For the error: "a whole number from 1". */
  readonly need: string;
  readonly fits: (value: unknown) => boolean;
  /** Null is a value of its own, not an option left out. */
  readonly null_means_something?: boolean;
}

/** A rule for every option of `T`: the compiler sees to it that none is missing. */
export type Rules<T> = { readonly [Name in keyof Required<T>]: Rule };

const rule = (need: string, fits: Rule["fits"]): Rule => ({ need, fits });

/** A whole number from `min` to `max`, both inclusive. */
export function whole(min: number, max = Number.MAX_SAFE_INTEGER): Rule {
  const range = max >= 2 ** 31 - 1 ? `from ${min}` : `from ${min} to ${max}`;
  return rule(
    `a whole number ${range}`,
    (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
  );
}

/** A number from `min` to `max`, both inclusive; never NaN. */
export function number(min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY): Rule {
  const need = Number.isFinite(min) ? `a number from ${min} to ${max}` : "a number";
  return rule(need, (value) => typeof value === "number" && value >= min && value <= max);
}

export function oneOf(...values: readonly string[]): Rule {
  return rule(values.map((value) => show(value)).join(" or "), (value) => values.includes(value as string));
}

export function anyOf(...rules: readonly Rule[]): Rule {
  return rule(rules.map(({ need }) => need).join(" or "), (value) => rules.some(({ fits }) => fits(value)));
}

/** An object of the product's own, recognised by what it can do. */
export function having(need: string, ...members: readonly string[]): Rule {
  return rule(
    need,
    (value) => typeof value === "object" && value !== null && members.every((member) => member in value),
  );
}

export const boolean: Rule = rule("true or false", (value) => typeof value === "boolean");
export const text: Rule = rule("a text", (value) => typeof value === "string");
export const list: Rule = rule("a list", Array.isArray);
export const texts: Rule = rule(
  "a list of texts",
  (value) => Array.isArray(value) && value.every((one) => typeof one === "string"),
);
export const integers: Rule = rule("a list or an array of integers", isIntegerArray);
export const record: Rule = rule("an object", isRecord);
export const callback: Rule = rule("a function", (value) => typeof value === "function");
export const signal: Rule = rule("an AbortSignal", (value) => value instanceof AbortSignal);
export const hooks: Rule = rule("a list of hooks (of caps: caps.hooks)", Array.isArray);

/** Of every call that the scheduler queues. */
export const QUEUE: Rules<QueueOptions> = { queue: oneOf("wait", "refuse"), client: text };

/** Of every call whose sequence may use the prefix cache. */
export const CACHE: Rules<CacheOptions> = { cache_salt: text };

/** Whatever it is, another place checks it. */
export const checkedLater: Rule = rule("anything", () => true);

/** As `inner`, where null is a value of its own. */
export function orNull(inner: Rule): Rule {
  return {
    need: `${inner.need}, or null`,
    fits: (value) => value === null || inner.fits(value),
    null_means_something: true,
  };
}

/**
 * The options of a call, checked: only known names, each with a value that its rule takes. Null and undefined count as
 * left out. A copy, in which only what was given is present.
 *
 * @throws CapstanError `bad_request` that names the option, what it needs and what it found; for an unknown name, the
 *   nearest known one
 */
export function readOptions<T extends object>(
  action: string,
  given: T | null | undefined,
  rules: Rules<T>,
): T {
  if (given === null || given === undefined) return {} as T;
  if (!isRecord(given)) throw bad(action, "options as an object", show(given));
  const read: Record<string, unknown> = {};
  const known = rules as Record<string, Rule>;
  for (const [name, value] of Object.entries(given)) {
    const wanted = Object.hasOwn(known, name) ? known[name] : undefined;
    if (wanted === undefined) throw unknownOption(action, name, Object.keys(known));
    if (value === undefined || (value === null && wanted.null_means_something !== true)) continue;
    if (!wanted.fits(value)) throw bad(action, `${name} to be ${wanted.need}`, show(value));
    read[name] = value;
  }
  return read as T;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Of another realm, too: an object literal's prototype has none itself.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** What others call our options. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  max_new_tokens: "max_tokens",
  max_completion_tokens: "max_tokens",
  max_length: "max_tokens",
  num_predict: "max_tokens",
  n_predict: "max_tokens",
  stop_sequences: "stop",
  eos_token_id: "stop_token_ids",
  context_length: "n_ctx",
  max_position_embeddings: "n_ctx",
  quantization: "dtype",
  precision: "dtype",
  torch_dtype: "dtype",
  abort_signal: "signal",
  progress: "on_progress",
  progress_callback: "on_progress",
};

function unknownOption(action: string, name: string, known: readonly string[]): CapstanError {
  const nearest = nearestName(name, known);
  const fix = nearest === undefined ? `Known are ${known.join(", ")}.` : `Is ${nearest} meant?`;
  return new CapstanError("bad_request", { action, need: "known options", found: show(name), fix });
}

/** The known name that a misspelt one is nearest to; undefined where none is near. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const plain = (text: string) =>
    text
      .replace(/([a-z])([A-Z])/g, "$1_$2")
      .toLowerCase()
      .replaceAll("-", "_");
  const asked = plain(name);
  const other = OTHER_NAMES[asked];
  if (other !== undefined && known.includes(other)) return other;
  const ranked = known
    .map((one) => ({ one, distance: editDistance(asked, plain(one)) }))
    .sort((a, b) => a.distance - b.distance);
  const [first] = ranked;
  const limit = Math.max(1, Math.ceil(asked.length / 3));
  return first !== undefined && first.distance <= limit ? first.one : undefined;
}

/** Letters to insert, delete, replace or swap with their neighbour (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let [before, last]: [number[], number[]] = [[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, replaced);
      const is_swap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (is_swap) row[j] = Math.min(row[j] ?? 0, (before[j - 2] ?? 0) + 1);
    }
    [before, last] = [last, row];
  }
  return last[b.length] ?? 0;
}

function bad(action: string, need: string, found: string): CapstanError {
  return new CapstanError("bad_request", { action, need, found });
}
