import { attributeOnly } from "../access.ts";
import { bind } from "../python/calls.ts";
import { typeError, valueError } from "../python/errors.ts";
import { dumps } from "../python/json.ts";
import { indexOf, type Value } from "../python/object.ts";
import { each, truth } from "../python/protocols.ts";
import { Str } from "../python/text/str.ts";
import { Undefined } from "../python/undefined.ts";
import { type Filter, textOf } from "./filter.ts";
import { HTML_FILTERS } from "./html.ts";
import { LIST_FILTERS } from "./lists.ts";
import { NUMBER_FILTERS } from "./numbers.ts";
import { pretty } from "./pretty.ts";
import { STRING_FILTERS } from "./strings.ts";

/** Levels of indentation of JSON are no wider than this. */
const WIDEST_INDENT = 1000;

/** transformers' own `tojson`: Python's `json.dumps`, no HTML in mind. */
const tojson: Filter = (value, call) => {
  const [ensure_ascii = false, indent = null, separators = null, sort_keys = false] = bind(
    call,
    "tojson",
    [],
    ["ensure_ascii", "indent", "separators", "sort_keys"],
  );
  const [item_separator, key_separator, ...rest] =
    separators === null
      ? defaults(indent)
      : Array.from(each(separators), (one) => textOf(one, "a separator"));
  if (item_separator === undefined || key_separator === undefined || rest.length > 0)
    throw valueError("separators must be two texts");
  return dumps(value, {
    ensure_ascii: truth(ensure_ascii),
    indent: indentOf(indent),
    item_separator,
    key_separator,
    sort_keys: truth(sort_keys),
  });
};

const defaults = (indent: Value): Str[] => [new Str(indent === null ? ", " : ","), new Str(": ")];

function indentOf(indent: Value): Str | null {
  if (indent === null) return null;
  if (indent instanceof Str) return indent;
  const width = Math.max(0, indexOf(indent));
  if (width > WIDEST_INDENT) throw valueError(`an indent of more than ${WIDEST_INDENT}`);
  return new Str(" ".repeat(width));
}

const otherwise: Filter = (value, call) => {
  const [fallback = new Str(""), by_truth = false] = bind(call, "default", [], ["default_value", "boolean"]);
  return value instanceof Undefined || (truth(by_truth) && !truth(value)) ? fallback : value;
};

const attr: Filter = (value, call) => {
  const [name] = bind(call, "attr", ["name"]);
  if (!(name instanceof Str)) throw typeError("attribute name must be string");
  return attributeOnly(value, name.value);
};

/** Filters that need the context that they run in; jinja2 computes the others of constants when it compiles. */
export const CONTEXT_FILTERS: ReadonlySet<string> = new Set([
  "map",
  "random",
  "reject",
  "rejectattr",
  "select",
  "selectattr",
]);

export const FILTERS: ReadonlyMap<string, Filter> = new Map(
  Object.entries({
    ...HTML_FILTERS,
    ...LIST_FILTERS,
    ...NUMBER_FILTERS,
    ...STRING_FILTERS,
    attr,
    d: otherwise,
    default: otherwise,
    pprint: (value, call) => {
      bind(call, "pprint", []);
      return pretty(value);
    },
    tojson,
  } satisfies Record<string, Filter>),
);
