import { itemAt } from "../../../../models/certain.ts";
import { spendList } from "./budget.ts";
import { Fault, typeError } from "./errors.ts";
import { keyOf } from "./keys.ts";
import { indexOf, int, integerOf, PyObject, typeName, type Value } from "./object.ts";
import { type SliceRange, sliceRange } from "./slices.ts";
import { concat, Str, StrBuilder } from "./text/str.ts";

type Repr = (value: Value) => Str;

/** What list and tuple share. */
abstract class Sequence extends PyObject {
  readonly values: readonly Value[];

  constructor(values: readonly Value[]) {
    super();
    this.values = values;
  }

  override truth(): boolean {
    return this.values.length > 0;
  }

  override size(): number {
    return this.values.length;
  }

  override items(): Iterator<Value> {
    return this.values[Symbol.iterator]();
  }

  override *reversed(): Iterator<Value> {
    for (let i = this.values.length - 1; i >= 0; i--) yield itemAt(this.values, i);
  }

  override item(key: Value): Value {
    if (integerOf(key) === undefined)
      throw typeError(`${this.type} indices must be integers or slices, not ${typeName(key)}`);
    const index = indexOf(key);
    const found = this.values[index < 0 ? index + this.values.length : index];
    if (found === undefined) throw new Fault("IndexError", `${this.type} index out of range`);
    return found;
  }

  protected pick(start: Value, stop: Value, step: Value): Value[] {
    const range = sliceRange(this.values.length, start, stop, step);
    spendList(range.count);
    return Array.from({ length: range.count }, (_, i) => itemAt(this.values, range.start + i * range.step));
  }
}

export class List extends Sequence {
  readonly type = "list";

  override key(): string {
    throw unhashable(this);
  }

  override slice(start: Value, stop: Value, step: Value): List {
    return new List(this.pick(start, stop, step));
  }

  repr(inner: Repr): Str {
    return joined("[", this.values.map(inner), "]");
  }
}

export class Tuple extends Sequence {
  readonly type: string = "tuple";

  override key(inner: (value: Value) => string): string {
    return `t${this.values
      .map((value) => inner(value))
      .map((key) => `${key.length}:${key}`)
      .join("")}`;
  }

  override slice(start: Value, stop: Value, step: Value): Tuple {
    return new Tuple(this.pick(start, stop, step));
  }

  repr(inner: Repr): Str {
    return joined("(", this.values.map(inner), this.values.length === 1 ? ",)" : ")");
  }
}

/** Python's dict: keys by their value, in order. */
export class Dict extends PyObject {
  readonly type = "dict";
  readonly #entries: Map<string, readonly [Value, Value]>;

  constructor(entries: Iterable<readonly [Value, Value]> = []) {
    super();
    this.#entries = new Map();
    for (const [key, value] of entries) this.set(key, value);
  }

  /** Sets an item; a key that is there keeps its first form and its place. */
  set(key: Value, value: Value): void {
    const name = keyOf(key);
    this.#entries.set(name, [this.#entries.get(name)?.[0] ?? key, value]);
  }

  get(key: Value): Value | undefined {
    return this.#entries.get(keyOf(key))?.[1];
  }

  /** By a name, as attributes are looked up. */
  named(name: string): Value | undefined {
    return this.#entries.get(keyOf(name))?.[1];
  }

  get entries(): Iterable<readonly [Value, Value]> {
    return this.#entries.values();
  }

  override truth(): boolean {
    return this.#entries.size > 0;
  }

  override size(): number {
    return this.#entries.size;
  }

  override *items(): Iterator<Value> {
    for (const [key] of this.entries) yield key;
  }

  override *reversed(): Iterator<Value> {
    for (const [key] of [...this.entries].reverse()) yield key;
  }

  override has(item: Value): boolean {
    return this.#entries.has(keyOf(item));
  }

  override item(key: Value): Value {
    const found = this.get(key);
    if (found === undefined) throw new Fault("KeyError", "no such key");
    return found;
  }

  override slice(): Value {
    throw typeError("unhashable type: 'slice'");
  }

  override key(): string {
    throw unhashable(this);
  }

  repr(inner: Repr): Str {
    const colon = new Str(": ");
    return joined(
      "{",
      Array.from(this.entries, ([key, value]) => concat(inner(key), colon, inner(value))),
      "}",
    );
  }
}

/** What `d.keys()`, `d.values()` and `d.items()` give. */
export class DictView extends PyObject {
  readonly type: string;
  readonly dict: Dict;
  readonly #of: (entry: readonly [Value, Value]) => Value;

  constructor(kind: "keys" | "values" | "items", dict: Dict) {
    super();
    this.type = `dict_${kind}`;
    this.dict = dict;
    this.#of =
      kind === "keys"
        ? ([key]) => key
        : kind === "values"
          ? ([, value]) => value
          : (entry) => new Tuple(entry);
  }

  override truth(): boolean {
    return this.dict.truth();
  }

  override size(): number {
    return this.dict.size();
  }

  override *items(): Iterator<Value> {
    for (const entry of this.dict.entries) yield this.#of(entry);
  }

  override *reversed(): Iterator<Value> {
    for (const entry of [...this.dict.entries].reverse()) yield this.#of(entry);
  }

  override has(item: Value, equal: (a: Value, b: Value) => boolean): boolean {
    if (this.type === "dict_values") return super.has(item, equal);
    if (this.type === "dict_keys") return this.dict.has(item);
    if (!(item instanceof Tuple) || item.values.length !== 2) return false;
    const found = this.dict.get(itemAt(item.values, 0));
    return found !== undefined && equal(found, itemAt(item.values, 1));
  }

  /** Keys and items behave as sets. */
  override key(inner: (value: Value) => string): string {
    if (this.type !== "dict_values") throw unhashable(this);
    return super.key(inner);
  }

  repr(inner: Repr): Str {
    return joined(
      `${this.type}([`,
      Array.from(this.dict.entries, (entry) => inner(this.#of(entry))),
      "])",
    );
  }
}

/** Python's range, which is no list until one makes one of it. */
export class Range extends PyObject {
  readonly type = "range";
  readonly range: SliceRange;

  constructor(start: number, stop: number, step: number) {
    super();
    this.range = { start, stop, step, count: Math.max(0, Math.ceil((stop - start) / step)) };
  }

  #at(index: number): bigint {
    return int(this.range.start + index * this.range.step);
  }

  override truth(): boolean {
    return this.range.count > 0;
  }

  override size(): number {
    return this.range.count;
  }

  override *items(): Iterator<Value> {
    for (let i = 0; i < this.range.count; i++) yield this.#at(i);
  }

  override *reversed(): Iterator<Value> {
    for (let i = this.range.count - 1; i >= 0; i--) yield this.#at(i);
  }

  override item(key: Value): Value {
    if (integerOf(key) === undefined)
      throw typeError(`range indices must be integers or slices, not ${typeName(key)}`);
    const index = indexOf(key);
    const at = index < 0 ? index + this.range.count : index;
    if (at < 0 || at >= this.range.count) throw new Fault("IndexError", "range object index out of range");
    return this.#at(at);
  }

  override slice(start: Value, stop: Value, step: Value): Range {
    const range = sliceRange(this.range.count, start, stop, step);
    const first = this.range.start + range.start * this.range.step;
    return new Range(first, this.range.start + range.stop * this.range.step, range.step * this.range.step);
  }

  repr(): Str {
    const { start, stop, step } = this.range;
    return new Str(step === 1 ? `range(${start}, ${stop})` : `range(${start}, ${stop}, ${step})`);
  }
}

/** A generator or another iterator: what it gives can be had once. */
export class Iter extends PyObject {
  readonly type: string;
  readonly #items: Iterator<Value>;

  constructor(items: Iterator<Value>, type = "generator") {
    super();
    this.#items = items;
    this.type = type;
  }

  override items(): Iterator<Value> {
    return this.#items;
  }

  /** Python prints its address, too. */
  repr(): Str {
    return new Str(`<${this.type} object>`);
  }
}

function unhashable({ type }: PyObject): Fault {
  return typeError(`unhashable type: '${type}'`);
}

/** `open`, what a container holds between commas, `close`. */
export function joined(open: string, items: readonly Str[], close: string): Str {
  spendList(items.length);
  const made = new StrBuilder().text(open);
  for (const [i, item] of items.entries()) made.text(i === 0 ? "" : ", ").add(item);
  return made.text(close).done();
}
