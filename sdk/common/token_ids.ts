import { CapstanError, show } from "../../models/index.ts";
import type { IntegerArray, Model } from "../types.ts";

const INTEGER_ARRAYS = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  BigInt64Array,
  BigUint64Array,
] as const;

/** Whether a value can hold token ids, whatever they are: a list, or any typed array of integers. */
export function isIntegerArray(value: unknown): value is IntegerArray {
  return Array.isArray(value) || INTEGER_ARRAYS.some((kind) => value instanceof kind);
}

/**
 * A copy of token ids, checked against the model's vocabulary: what the caller does with its own array later changes
 * nothing.
 *
 * @throws CapstanError `bad_request` naming the first wrong id; for none at all
 */
export function readTokenIds(model: Model, tokens: unknown, what = "token ids"): Int32Array {
  if (!isIntegerArray(tokens)) {
    throw badTokens("token ids as a list or an array of integers", show(tokens));
  }
  if (tokens.length === 0) throw badTokens("at least one token", `${what} with none`);
  const { d_vocab } = model.spec;
  const ids = new Int32Array(tokens.length);
  for (let i = 0; i < tokens.length; i++) {
    const given: unknown = tokens[i];
    const id = typeof given === "bigint" ? Number(given) : given;
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= d_vocab) {
      throw badTokens(`token ids from 0 to ${d_vocab - 1}`, `${show(given)} at index ${i}`);
    }
    ids[i] = id;
  }
  return ids;
}

function badTokens(need: string, found: string): CapstanError {
  return new CapstanError("bad_request", { action: "read the prompt", need, found });
}
