import { getItem } from "../access.ts";
import { spend, spendText } from "../python/budget.ts";
import { Fault, typeError } from "../python/errors.ts";
import { type Arguments, typeName, type Value } from "../python/object.ts";
import { Str } from "../python/text/str.ts";
import { Undefined } from "../python/undefined.ts";

/** What a filter or test may need of the rendering. */
export interface FilterContext {
  /** Whether text that is printed is escaped here. */
  readonly autoescape: boolean;
  /** Applies another filter by name (`map('upper')`). */
  filter(name: Value, value: Value, call: Arguments): Value;
  /** Asks a test by name (`select('odd')`). */
  test(name: Value, value: Value, call: Arguments): boolean;
  hasFilter(name: string): boolean;
  hasTest(name: string): boolean;
}

/** @param value what stands before the `|` */
export type Filter = (value: Value, call: Arguments, context: FilterContext) => Value;

/** Charges for looking at what a filter or a test is given. */
export function charge(value: Value): void {
  spend(1);
  if (value instanceof Str) spendText(value.value.length);
}

/** A fault of an argument. */
export function argumentFault(message: string): Fault {
  return new Fault("TemplateRuntimeError", message);
}

/** A text; an undefined value raises what it is undefined for. */
export function textOf(value: Value, what: string): Str {
  if (value instanceof Str) return value;
  if (value instanceof Undefined) throw value.undefined_fault;
  throw typeError(`${what} must be str, not ${typeName(value)}`);
}

/**
 * jinja2's make_attrgetter: looks up an attribute, or one of an attribute (`address.city`, `0.name`), as `[]` does.
 *
 * @param fallback what an undefined one becomes
 */
export function attributeGetter(attribute: Value, fallback: Value = null): (item: Value) => Value {
  const parts = attributeParts(attribute);
  return (item) => {
    let found = item;
    for (const part of parts) {
      found = getItem(found, part);
      if (fallback !== null && found instanceof Undefined) found = fallback;
    }
    return found;
  };
}

function attributeParts(attribute: Value): Value[] {
  if (attribute === null) return [];
  if (!(attribute instanceof Str)) return [attribute];
  return attribute.value.split(".").map((part) => (/^\p{Nd}+$/u.test(part) ? BigInt(part) : new Str(part)));
}

/** Texts in lower case, other values as they are: what sorting compares by. */
export function ignoreCase(value: Value): Value {
  return value instanceof Str ? new Str(value.value.toLowerCase()) : value;
}
