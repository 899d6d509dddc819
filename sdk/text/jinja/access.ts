import { CHANGES, DICT_METHODS, LIST_METHODS, TUPLE_METHODS } from "./methods/collections.ts";
import { STR_METHODS } from "./methods/str.ts";
import { spendText } from "./python/budget.ts";
import { Builtin } from "./python/calls.ts";
import { Dict, List, Tuple } from "./python/collections.ts";
import { isFault, typeError } from "./python/errors.ts";
import type { Lookup } from "./python/format/braces.ts";
import { type Arguments, PyObject, typeName, type Value } from "./python/object.ts";
import { repr } from "./python/protocols.ts";
import { stripTags, unescapeHtml } from "./python/text/html.ts";
import { escapeHtml } from "./python/text/markup.ts";
import { Str } from "./python/text/str.ts";
import { Undefined } from "./python/undefined.ts";

/** `object.name`, `object[key]` and calls, as jinja2's immutable sandbox allows them. */

/** Attributes that every object of Python has; the sandbox hides them, also from what lies in a dict by that name. */
const OF_ALL = new Set(
  (
    "class delattr dir doc eq format ge getattribute getstate gt hash init init_subclass le lt ne new reduce " +
    "reduce_ex repr setattr sizeof str subclasshook"
  )
    .split(" ")
    .map((name) => `__${name}__`),
);

const names = (text: string): ReadonlySet<string> => new Set(text.split(" "));
const OF_NUMBERS = "real imag conjugate as_integer_ratio";
const OF_INTEGERS = names(
  `${OF_NUMBERS} numerator denominator bit_length bit_count to_bytes from_bytes is_integer`,
);
const OF_VIEWS = names("isdisjoint mapping");
/** What Python's numbers, ranges and views have. No template asks for it, and none may get another answer than Python's. */
const BEYOND: Readonly<Record<string, ReadonlySet<string>>> = {
  int: OF_INTEGERS,
  bool: OF_INTEGERS,
  float: names(`${OF_NUMBERS} is_integer hex fromhex`),
  range: names("start stop step count index"),
  dict_keys: OF_VIEWS,
  dict_items: OF_VIEWS,
  dict_values: names("mapping"),
};

/** `object.name`: the attribute, else the item. */
export function getAttribute(object: Value, name: string): Value {
  const found = pythonAttribute(object, name);
  if (found !== undefined) return safe(object, name, found);
  const item = itemOf(object, new Str(name));
  return item === undefined ? Undefined.of(object, name) : item;
}

/** `object[key]`: the item, else the attribute. */
export function getItem(object: Value, key: Value): Value {
  const found = itemOf(object, key);
  if (found !== undefined) return found;
  if (key instanceof Str) {
    const attribute = pythonAttribute(object, key.value);
    if (attribute !== undefined) return safe(object, key.value, attribute);
  }
  return Undefined.of(object, key instanceof Str ? key.value : repr(key).value);
}

/** `object[start:stop:step]` */
export function getSlice(object: Value, start: Value, stop: Value, step: Value): Value {
  if (object instanceof PyObject) return object.slice(start, stop, step);
  throw typeError(`'${typeName(object)}' object is not subscriptable`);
}

/** The filter `attr`: the attribute alone. */
export function attributeOnly(object: Value, name: string): Value {
  const found = pythonAttribute(object, name);
  return found === undefined ? Undefined.of(object, name) : safe(object, name, found);
}

export function callValue(value: Value, call: Arguments): Value {
  if (value instanceof PyObject) return value.call(call);
  throw typeError(`'${typeName(value)}' object is not callable`);
}

/** An item, or undefined where Python raises what the sandbox catches. */
function itemOf(object: Value, key: Value): Value | undefined {
  if (!(object instanceof PyObject)) return undefined;
  try {
    return object.item(key);
  } catch (error) {
    if (isFault(error, "TypeError", "KeyError", "IndexError")) return undefined;
    throw error;
  }
}

function safe(object: Value, name: string, value: Value): Value {
  const is_hidden = name.startsWith("_") || CHANGES[typeName(object)]?.has(name) === true;
  if (!is_hidden) return value;
  return new Undefined(
    `access to attribute '${name}' of '${typeName(object)}' object is unsafe.`,
    "SecurityError",
  );
}

function method<T>(
  table: Readonly<Record<string, (self: T, call: Arguments) => Value>>,
  self: T,
  name: string,
): Value | undefined {
  const run = Object.hasOwn(table, name) ? table[name] : undefined;
  return run === undefined ? undefined : new Builtin(name, (call) => run(self, call));
}

/** Python's `getattr`; undefined where it raises AttributeError. */
function pythonAttribute(object: Value, name: string): Value | undefined {
  if (OF_ALL.has(name)) return null;
  if (object === null) return undefined;
  if (BEYOND[typeName(object)]?.has(name) === true)
    throw typeError(`'${name}' of '${typeName(object)}' objects is beyond this runtime`);
  if (!(object instanceof PyObject)) return undefined;
  // Hidden in any case; what is given does not matter.
  if (CHANGES[typeName(object)]?.has(name) === true) return null;
  if (object instanceof Str) return strAttribute(object, name);
  if (object instanceof List) return method(LIST_METHODS, object, name);
  if (object instanceof Dict) return method(DICT_METHODS, object, name);
  const own = object.attribute(name);
  return own === undefined && object instanceof Tuple ? method(TUPLE_METHODS, object, name) : own;
}

const LOOKUP: Lookup = { attribute: getAttribute, item: getItem };

function strAttribute(text: Str, name: string): Value | undefined {
  const run = Object.hasOwn(STR_METHODS, name) ? STR_METHODS[name] : undefined;
  if (run !== undefined) {
    return new Builtin(name, (call) => {
      spendText(text.value.length);
      return run(text, call, LOOKUP);
    });
  }
  if (!text.is_markup) return undefined;
  switch (name) {
    case "escape":
      return new Builtin(name, ({ args }) => escapeHtml(args[0] ?? null));
    case "striptags":
      return new Builtin(name, () => stripTags(text));
    case "unescape":
      return new Builtin(name, () => unescapeHtml(text));
    default:
      return undefined;
  }
}
