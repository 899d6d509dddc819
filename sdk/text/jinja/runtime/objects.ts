import { itemAt } from "../../../../models/certain.ts";
import { textOf } from "../filters/filter.ts";
import { fromKeys, makeDict } from "../methods/collections.ts";
import { Builtin, bind, positional } from "../python/calls.ts";
import { type Dict, Range } from "../python/collections.ts";
import { Fault, typeError, valueError } from "../python/errors.ts";
import { type Arguments, indexOf, int, PyObject, type Value } from "../python/object.ts";
import { EMPTY, madeOf, Str } from "../python/text/str.ts";

/** Objects that jinja2 and transformers give to templates. */

type Repr = (value: Value) => Str;

/** `namespace(...)`: attributes that can be set. transformers refuses names with an underscore in front. */
export class Namespace extends PyObject {
  readonly type = "Namespace";
  readonly #values: Dict;

  constructor(call: Arguments) {
    super();
    this.#values = makeDict(call);
    for (const [name] of this.#values.entries) if (name instanceof Str) checkName(name.value);
  }

  set(name: string, value: Value): void {
    checkName(name);
    this.#values.set(new Str(name), value);
  }

  override attribute(name: string): Value | undefined {
    return this.#values.named(name);
  }

  repr(inner: Repr): Str {
    const shown = inner(this.#values);
    return new Str(`<Namespace ${shown.value}>`, shifted(shown, "<Namespace ".length));
  }
}

function shifted(text: Str, by: number): Str["runs"] {
  return text.runs.map((run) => ({ ...run, start: run.start + by, end: run.end + by }));
}

function checkName(name: string): void {
  if (name.startsWith("_"))
    throw new Fault(
      "SecurityError",
      `chat templates cannot store '${name}' on a namespace: underscore in front`,
    );
}

/** `cycler('odd', 'even')` */
class Cycler extends PyObject {
  readonly type = "Cycler";
  readonly #items: readonly Value[];
  #at = 0;

  constructor({ args, named }: Arguments) {
    super();
    if (named.size > 0) throw typeError("cycler() takes no keyword arguments");
    if (args.length === 0) throw new Fault("RuntimeError", "at least one item has to be provided");
    this.#items = args;
  }

  override attribute(name: string): Value | undefined {
    switch (name) {
      case "current":
        return itemAt(this.#items, this.#at);
      case "pos":
        return int(this.#at);
      case "next":
        return new Builtin(name, (call) => {
          positional(call, name, 0);
          const current = itemAt(this.#items, this.#at);
          this.#at = (this.#at + 1) % this.#items.length;
          return current;
        });
      case "reset":
        return new Builtin(name, (call) => {
          positional(call, name, 0);
          this.#at = 0;
          return null;
        });
      default:
        return undefined;
    }
  }

  repr(): Str {
    return new Str("<jinja2.utils.Cycler object>");
  }
}

/** `joiner(', ')`: nothing at its first call, the separator then. */
class Joiner extends PyObject {
  readonly type = "Joiner";
  readonly #separator: Value;
  #is_used = false;

  constructor(call: Arguments) {
    super();
    const [separator = new Str(", ")] = bind(call, "joiner", [], ["sep"]);
    this.#separator = separator;
  }

  override attribute(name: string): Value | undefined {
    return name === "sep" ? this.#separator : name === "used" ? this.#is_used : undefined;
  }

  override call(call: Arguments): Value {
    positional(call, "joiner", 0);
    if (this.#is_used) return this.#separator;
    this.#is_used = true;
    return EMPTY;
  }

  override get is_callable(): boolean {
    return true;
  }

  repr(): Str {
    return new Str("<jinja2.utils.Joiner object>");
  }
}

/** The name `dict`: transformers lets templates call it, and `dict.fromkeys`. */
class DictMaker extends PyObject {
  readonly type = "TemplateDict";

  override call(call: Arguments): Value {
    return makeDict(call);
  }

  override get is_callable(): boolean {
    return true;
  }

  override attribute(name: string): Value | undefined {
    return name === "fromkeys" ? FROM_KEYS : undefined;
  }

  repr(): Str {
    return new Str("<TemplateDict object>");
  }
}

const MOST_RANGE = 100_000;

/** The sandbox's `range`. */
function makeRange(call: Arguments): Range {
  const args = positional(call, "range", 1, 3).map(indexOf);
  const [start, stop, step = 1] =
    args.length === 1 ? [0, itemAt(args, 0)] : (args as [number, number, number?]);
  if (step === 0) throw valueError("range() arg 3 must not be zero");
  const made = new Range(start, stop, step);
  if (made.size() > MOST_RANGE) throw new Fault("ArithmeticError", `a range of more than ${MOST_RANGE}`);
  return made;
}

/** The names that every template finds. */
export function makeGlobals(strftime: (format: string) => string): Map<string, Value> {
  const made = (name: string, run: (call: Arguments) => Value) => new Builtin(name, run, "function");
  return new Map<string, Value>([
    ["range", made("range", makeRange)],
    ["dict", new DictMaker()],
    ["namespace", made("namespace", (call) => new Namespace(call))],
    ["cycler", made("cycler", (call) => new Cycler(call))],
    ["joiner", made("joiner", (call) => new Joiner(call))],
    [
      "raise_exception",
      made("raise_exception", (call) => {
        const [message] = bind(call, "raise_exception", ["message"]);
        throw new Fault("TemplateError", message instanceof Str ? message.value : "");
      }),
    ],
    [
      "strftime_now",
      made("strftime_now", (call) => {
        const [format] = bind(call, "strftime_now", ["format"]);
        const text = textOf(format, "the format");
        return madeOf(strftime(text.value), text);
      }),
    ],
  ]);
}

const FROM_KEYS = new Builtin("fromkeys", (call) => fromKeys(call));
