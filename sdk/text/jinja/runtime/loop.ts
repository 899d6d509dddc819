import { itemAt } from "../../../../models/certain.ts";
import { Builtin, positional } from "../python/calls.ts";
import { Tuple } from "../python/collections.ts";
import { isFault, typeError } from "../python/errors.ts";
import { type Arguments, int, PyObject, type Value } from "../python/object.ts";
import { equal, iterate, length } from "../python/protocols.ts";
import { Str } from "../python/text/str.ts";
import { Undefined } from "../python/undefined.ts";

/** Renders a recursive loop's body over other items. */
export type Recurse = (items: Value, depth: number) => Str;

/** jinja2's LoopContext: what `loop` is inside of a for. */
export class Loop extends PyObject {
  readonly type = "LoopContext";
  readonly #iterable: Value;
  readonly #depth0: number;
  readonly #recurse: Recurse | null;
  #iterator: Iterator<Value>;
  #index0 = -1;
  #length: number | undefined;
  /** One item that was looked at before its turn; null at the end. */
  #after: { value: Value } | null | undefined;
  #current: Value | undefined;
  #before: Value | undefined;
  #last_changed: Tuple | undefined;

  constructor(iterable: Value, recurse: Recurse | null, depth0: number) {
    super();
    this.#iterable = iterable;
    this.#iterator = iterate(iterable);
    this.#recurse = recurse;
    this.#depth0 = depth0;
  }

  /** The next item; null at the end. */
  next(): { value: Value } | null {
    const found = this.#peek();
    if (found === null) return null;
    this.#after = undefined;
    this.#index0++;
    this.#before = this.#current;
    this.#current = found.value;
    return found;
  }

  #peek(): { value: Value } | null {
    if (this.#after === undefined || this.#after === null) {
      const next = this.#iterator.next();
      this.#after = next.done ? null : { value: next.value };
    }
    return this.#after;
  }

  /** An iterable without a length is read to its end. */
  override size(): number {
    if (this.#length !== undefined) return this.#length;
    try {
      this.#length = length(this.#iterable);
    } catch (error) {
      if (!isFault(error, "TypeError")) throw error;
      const rest: Value[] = [];
      for (let next = this.#iterator.next(); !next.done; next = this.#iterator.next()) rest.push(next.value);
      this.#iterator = rest[Symbol.iterator]();
      this.#length = rest.length + this.#index0 + 1 + (this.#after ? 1 : 0);
    }
    return this.#length;
  }

  override items(): Iterator<Value> {
    const step = (): IteratorResult<Value> => {
      const found = this.next();
      return found === null
        ? { done: true, value: undefined }
        : { done: false, value: new Tuple([found.value, this]) };
    };
    return { next: step };
  }

  override attribute(name: string): Value | undefined {
    switch (name) {
      case "index":
        return int(this.#index0 + 1);
      case "index0":
        return int(this.#index0);
      case "revindex":
        return int(this.size() - this.#index0);
      case "revindex0":
        return int(this.size() - this.#index0 - 1);
      case "first":
        return this.#index0 === 0;
      case "last":
        return this.#peek() === null;
      case "length":
        return int(this.size());
      case "depth":
        return int(this.#depth0 + 1);
      case "depth0":
        return int(this.#depth0);
      case "previtem":
        return this.#index0 === 0 ? new Undefined("there is no previous item") : this.#before;
      case "nextitem":
        return this.#nextItem();
      case "cycle":
        return new Builtin(name, (call) => {
          const args = positional(call, name, 0, Number.POSITIVE_INFINITY);
          if (args.length === 0) throw typeError("no items for cycling given");
          return itemAt(args, this.#index0 % args.length);
        });
      case "changed":
        return new Builtin(name, (call) =>
          this.#changed(new Tuple(positional(call, name, 0, Number.POSITIVE_INFINITY))),
        );
      default:
        return undefined;
    }
  }

  #nextItem(): Value {
    const next = this.#peek();
    return next === null ? new Undefined("there is no next item") : next.value;
  }

  #changed(value: Tuple): boolean {
    if (this.#last_changed !== undefined && equal(this.#last_changed, value)) return false;
    this.#last_changed = value;
    return true;
  }

  override call(call: Arguments): Value {
    const [items] = positional(call, "loop", 1);
    if (this.#recurse === null)
      throw typeError("The loop must have the 'recursive' marker to be called recursively.");
    return this.#recurse(items, this.#depth0 + 1);
  }

  override get is_callable(): boolean {
    return true;
  }

  repr(): Str {
    return new Str(`<LoopContext ${this.#index0 + 1}/${this.size()}>`);
  }
}
