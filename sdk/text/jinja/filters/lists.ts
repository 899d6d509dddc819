import { itemAt } from "../../../../models/certain.ts";
import { bind, positional } from "../python/calls.ts";
import { Dict, Iter, List, Tuple } from "../python/collections.ts";
import { Fault, isFault, typeError } from "../python/errors.ts";
import { keyOf } from "../python/keys.ts";
import { type Arguments, indexOf, int, PyObject, typeName, type Value } from "../python/object.ts";
import { operate } from "../python/operators.ts";
import { each, equal, iterate, length, listed, ordered, sorted, truth } from "../python/protocols.ts";
import { Str } from "../python/text/str.ts";
import { Undefined } from "../python/undefined.ts";
import { argumentFault, attributeGetter, type Filter, type FilterContext, ignoreCase } from "./filter.ts";
import { GroupTuple } from "./group.ts";

/** Filters of lists and dicts. Those that are generators in Python are so here: what they give can be had once. */

const counted: Filter = (value, call) => {
  positional(call, "len", 0);
  return int(length(value));
};

const first: Filter = (value, call) => {
  bind(call, "first", []);
  const next = iterate(value).next();
  return next.done ? new Undefined("No first item, sequence was empty.") : next.value;
};

/** `reversed(value)` */
function reversed(value: Value): Iterator<Value> {
  if (value instanceof PyObject) return value.reversed();
  throw typeError(`'${typeName(value)}' object is not reversible`);
}

const last: Filter = (value, call) => {
  bind(call, "last", []);
  const next = reversed(value).next();
  return next.done ? new Undefined("No last item, sequence was empty.") : next.value;
};

const random: Filter = (value, call) => {
  bind(call, "random", []);
  const size = length(value);
  if (size === 0) return new Undefined("No random item, sequence was empty.");
  if (value instanceof PyObject) return value.item(int(Math.floor(Math.random() * size)));
  throw typeError(`'${typeName(value)}' object is not subscriptable`);
};

const reverse: Filter = (value, call) => {
  bind(call, "reverse", []);
  if (value instanceof Str) return value.slice(null, null, -1n);
  try {
    return new Iter(reversed(value), "list_reverseiterator");
  } catch (error) {
    if (!isFault(error, "TypeError")) throw error;
  }
  try {
    return new List(listed(value).reverse());
  } catch (error) {
    if (isFault(error, "TypeError")) throw argumentFault("argument must be iterable");
    throw error;
  }
};

/** Keeps case unless asked otherwise. */
const keyGetter = (attribute: Value, case_sensitive: Value, fallback: Value = null) => {
  const get = attributeGetter(attribute, fallback);
  return truth(case_sensitive) ? get : (item: Value) => ignoreCase(get(item));
};

/** Python takes whole numbers here, and nothing else. */
const isReverse = (order: Value) => indexOf(order) !== 0;

const sort: Filter = (value, call) => {
  const [reverse_order = false, case_sensitive = false, attribute = null] = bind(
    call,
    "sort",
    [],
    ["reverse", "case_sensitive", "attribute"],
  );
  const names =
    attribute instanceof Str ? attribute.value.split(",").map((name) => new Str(name)) : [attribute];
  const getters = names.map((name) => keyGetter(name, case_sensitive));
  return new List(
    sorted(listed(value), (item) => new List(getters.map((get) => get(item))), isReverse(reverse_order)),
  );
};

const dictsort: Filter = (value, call) => {
  const [case_sensitive = false, by = new Str("key"), reverse_order = false] = bind(
    call,
    "dictsort",
    [],
    ["case_sensitive", "by", "reverse"],
  );
  const place = by instanceof Str ? ["key", "value"].indexOf(by.value) : -1;
  if (place < 0) throw argumentFault('You can only sort by either "key" or "value"');
  if (value instanceof Undefined) throw value.undefined_fault;
  if (!(value instanceof Dict))
    throw new Fault("AttributeError", `'${typeName(value)}' object has no attribute 'items'`);
  const items = Array.from(value.entries, (entry) => new Tuple(entry));
  const key = (item: Value) => {
    const found = itemAt((item as Tuple).values, place);
    return truth(case_sensitive) ? found : ignoreCase(found);
  };
  return new List(sorted(items, key, isReverse(reverse_order)));
};

const extreme =
  (name: "min" | "max"): Filter =>
  (value, call) => {
    const [case_sensitive = false, attribute = null] = bind(call, name, [], ["case_sensitive", "attribute"]);
    const get = keyGetter(attribute, case_sensitive);
    let best: { item: Value; key: Value } | undefined;
    for (const item of each(value)) {
      const key = get(item);
      if (best === undefined || ordered(key, best.key, name === "min" ? "<" : ">")) best = { item, key };
    }
    return best === undefined ? new Undefined("No aggregated item, sequence was empty.") : best.item;
  };

const unique: Filter = (value, call) => {
  const [case_sensitive = false, attribute = null] = bind(
    call,
    "unique",
    [],
    ["case_sensitive", "attribute"],
  );
  const get = keyGetter(attribute, case_sensitive);
  return new Iter(
    (function* () {
      const seen = new Set<string>();
      for (const item of each(value)) {
        const key = keyOf(get(item));
        if (seen.has(key)) continue;
        seen.add(key);
        yield item;
      }
    })(),
  );
};

const groupby: Filter = (value, call) => {
  const [attribute, fallback = null, case_sensitive = false] = bind(
    call,
    "groupby",
    ["attribute"],
    ["default", "case_sensitive"],
  );
  const get = keyGetter(attribute, case_sensitive, fallback);
  const shown = attributeGetter(attribute, fallback);
  const groups: { key: Value; items: Value[] }[] = [];
  for (const item of sorted(listed(value), get, false)) {
    const key = get(item);
    const group = groups.at(-1);
    if (group !== undefined && equal(group.key, key)) group.items.push(item);
    else groups.push({ key, items: [item] });
  }
  const grouper = ({ key, items }: { key: Value; items: Value[] }) =>
    truth(case_sensitive) ? key : shown(itemAt(items, 0));
  return new List(groups.map((group) => new GroupTuple(grouper(group), new List(group.items))));
};

const sum: Filter = (value, call) => {
  const [attribute = null, start = 0n] = bind(call, "sum", [], ["attribute", "start"]);
  if (start instanceof Str) throw typeError("sum() can't sum strings [use ''.join(seq) instead]");
  const get = attributeGetter(attribute);
  let total: Value = start;
  for (const item of each(value)) total = operate("+", total, get(item));
  return total;
};

const batch: Filter = (value, call) => {
  const [count_given, fill = null] = bind(call, "batch", ["linecount"], ["fill_with"]);
  return new Iter(
    (function* () {
      let group: Value[] = [];
      for (const item of each(value)) {
        if (equal(int(group.length), count_given)) {
          yield new List(group);
          group = [];
        }
        group.push(item);
      }
      if (group.length === 0) return;
      if (fill !== null && ordered(int(group.length), count_given, "<")) {
        const missing = operate("*", new List([fill]), operate("-", count_given, int(group.length)));
        group.push(...listed(missing));
      }
      yield new List(group);
    })(),
  );
};

const slice: Filter = (value, call) => {
  const [slices_given, fill = null] = bind(call, "slice", ["slices"], ["fill_with"]);
  return new Iter(
    (function* () {
      const items = listed(value);
      const size = operate("//", int(items.length), slices_given);
      const slices = indexOf(slices_given);
      const [each_has, extra] = [indexOf(size), items.length % slices];
      let at = 0;
      for (let i = 0; i < slices; i++) {
        const end = at + each_has + (i < extra ? 1 : 0);
        const group = items.slice(at, end);
        if (fill !== null && i >= extra) group.push(fill);
        at = end;
        yield new List(group);
      }
    })(),
  );
};

const items: Filter = (value, call) => {
  bind(call, "items", []);
  return new Iter(
    (function* () {
      if (value instanceof Undefined) return;
      if (!(value instanceof Dict)) throw typeError("Can only get item pairs from a mapping.");
      for (const entry of value.entries) yield new Tuple(entry);
    })(),
  );
};

/** What `map` does with each item: an attribute of it, or another filter. */
function mapper({ args, named }: Arguments, context: FilterContext): (item: Value) => Value {
  const attribute = named.get("attribute");
  if (args.length === 0 && attribute !== undefined) {
    const other = [...named.keys()].find((name) => name !== "attribute" && name !== "default");
    if (other !== undefined) throw argumentFault(`Unexpected keyword argument '${other}'`);
    return attributeGetter(attribute, named.get("default") ?? null);
  }
  const [name, ...rest] = args;
  if (name === undefined) throw argumentFault("map requires a filter argument");
  return (item) => context.filter(name, item, { args: rest, named });
}

const map: Filter = (value, call, context) =>
  new Iter(
    (function* () {
      if (!truth(value)) return;
      const one = mapper(call, context);
      for (const item of each(value)) yield one(item);
    })(),
  );

/** `select` and its kin: the items that a test takes, or does not, itself or of an attribute. */
const selecting =
  (is_wanted: boolean, by_attribute: boolean): Filter =>
  (value, { args, named }, context) =>
    new Iter(
      (function* () {
        if (!truth(value)) return;
        if (by_attribute && args.length === 0) throw argumentFault("Missing parameter for attribute name");
        const get = by_attribute ? attributeGetter(itemAt(args, 0)) : (item: Value) => item;
        const [name, ...rest] = by_attribute ? args.slice(1) : args;
        const takes = (item: Value) =>
          name === undefined ? truth(item) : context.test(name, item, { args: rest, named });
        for (const item of each(value)) if (takes(get(item)) === is_wanted) yield item;
      })(),
    );

export const LIST_FILTERS: Readonly<Record<string, Filter>> = {
  batch,
  count: counted,
  dictsort,
  first,
  groupby,
  items,
  last,
  length: counted,
  list: (value, call) => {
    bind(call, "list", []);
    return new List(listed(value));
  },
  map,
  max: extreme("max"),
  min: extreme("min"),
  random,
  reject: selecting(false, false),
  rejectattr: selecting(false, true),
  reverse,
  select: selecting(true, false),
  selectattr: selecting(true, true),
  slice,
  sort,
  sum,
  unique,
};
