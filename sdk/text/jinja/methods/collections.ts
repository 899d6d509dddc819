import { itemAt } from "../../../../models/certain.ts";
import { positional } from "../python/calls.ts";
import { Dict, DictView, List, type Tuple } from "../python/collections.ts";
import { typeError, valueError } from "../python/errors.ts";
import { type Arguments, indexOf, int, type Value } from "../python/object.ts";
import { each, equal } from "../python/protocols.ts";
import { Str } from "../python/text/str.ts";

type Method<T> = (self: T, call: Arguments) => Value;

function indexIn(values: readonly Value[], call: Arguments): bigint {
  const [sought, start = 0n, end = int(values.length)] = positional(call, "index", 1, 3);
  const place = (value: Value) => {
    const index = indexOf(value);
    return index < 0 ? Math.max(0, index + values.length) : index;
  };
  const [first, last] = [place(start), Math.min(values.length, place(end))];
  for (let i = first; i < last; i++) if (equal(itemAt(values, i), sought)) return int(i);
  throw valueError("no such item in the list");
}

function countIn(values: Iterable<Value>, call: Arguments): bigint {
  const [sought] = positional(call, "count", 1);
  let count = 0;
  for (const value of values) if (equal(value, sought)) count++;
  return int(count);
}

export const LIST_METHODS: Readonly<Record<string, Method<List>>> = {
  index: (self, call) => indexIn(self.values, call),
  count: (self, call) => countIn(self.values, call),
  copy: (self, call) => {
    positional(call, "copy", 0);
    return new List(self.values);
  },
};

export const TUPLE_METHODS: Readonly<Record<string, Method<Tuple>>> = {
  index: (self, call) => indexIn(self.values, call),
  count: (self, call) => countIn(self.values, call),
};

const view =
  (kind: "keys" | "values" | "items"): Method<Dict> =>
  (self, call) => {
    positional(call, kind, 0);
    return new DictView(kind, self);
  };

export const DICT_METHODS: Readonly<Record<string, Method<Dict>>> = {
  get: (self, call) => {
    const [key, fallback = null] = positional(call, "get", 1, 2);
    const found = self.get(key);
    return found === undefined ? fallback : found;
  },
  keys: view("keys"),
  values: view("values"),
  items: view("items"),
  copy: (self, call) => {
    positional(call, "copy", 0);
    return new Dict(self.entries);
  },
  fromkeys: (_, call) => fromKeys(call),
};

/** `dict.fromkeys(keys, value)` */
export function fromKeys(call: Arguments): Dict {
  const [keys, value = null] = positional(call, "fromkeys", 1, 2);
  return new Dict(Array.from(each(keys), (key) => [key, value] as const));
}

/** `dict(pairs or a mapping, **named)` */
export function makeDict({ args, named, keys }: Arguments): Dict {
  if (args.length > 1) throw typeError(`dict expected at most 1 argument, got ${args.length}`);
  const made = new Dict();
  const [from] = args;
  if (from instanceof Dict) for (const [key, value] of from.entries) made.set(key, value);
  else if (from !== undefined) {
    for (const pair of each(from)) {
      const [key, value, ...rest] = [...each(pair)];
      if (key === undefined || value === undefined || rest.length > 0)
        throw valueError("dictionary update sequence element has another length than 2");
      made.set(key, value);
    }
  }
  for (const [name, value] of named) made.set(keys?.get(name) ?? new Str(name), value);
  return made;
}

/** Methods of lists and dicts that change them: the sandbox hides these. */
export const CHANGES: Readonly<Record<string, ReadonlySet<string>>> = {
  list: new Set(["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"]),
  dict: new Set(["clear", "pop", "popitem", "setdefault", "update"]),
};
