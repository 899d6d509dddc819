import { itemAt } from "../../../../models/certain.ts";
import { deeper } from "../python/budget.ts";
import { Dict, Tuple } from "../python/collections.ts";
import { typeError } from "../python/errors.ts";
import { type Arguments, PyObject, type Value } from "../python/object.ts";
import { Str } from "../python/text/str.ts";
import { Undefined } from "../python/undefined.ts";
import { MISSING, type Rendering } from "./rendering.ts";

/** What a macro takes beside its own arguments. */
export interface Signature {
  name: string | null;
  args: readonly string[];
  takes_caller: boolean;
  takes_named: boolean;
  takes_more: boolean;
}

/** Values of the macro's parameters, in their order; `MISSING` where a default may be. */
export type MacroBody = (values: readonly (Value | typeof MISSING)[]) => Str;

/** jinja2's Macro: `{% macro %}`, and what a call block hands over as `caller`. */
export class Macro extends PyObject {
  readonly type = "Macro";
  readonly #signature: Signature;
  readonly #body: MacroBody;
  readonly #rendering: Rendering;

  constructor(signature: Signature, body: MacroBody, rendering: Rendering) {
    super();
    this.#signature = signature;
    this.#body = body;
    this.#rendering = rendering;
  }

  override call(call: Arguments): Value {
    const values = this.#bind(call);
    return deeper(() => this.#body(values)).as(this.#rendering.autoescape);
  }

  #bind({ args, named, keys }: Arguments): (Value | typeof MISSING)[] {
    const { name, args: names, takes_caller, takes_named, takes_more } = this.#signature;
    const rest = new Map(named);
    const take = (key: string): Value | typeof MISSING => {
      const value = rest.get(key);
      rest.delete(key);
      return value === undefined ? MISSING : value;
    };
    const values: (Value | typeof MISSING)[] = names.map((key, i) =>
      i < args.length ? itemAt(args, i) : take(key),
    );
    if (takes_caller && !names.includes("caller")) {
      const caller = take("caller");
      values.push(caller === MISSING || caller === null ? new Undefined("No caller defined") : caller);
    }
    if (takes_named)
      values.push(
        new Dict(Array.from(rest, ([key, value]) => [keys?.get(key) ?? new Str(key), value] as const)),
      );
    else if (rest.size > 0)
      throw typeError(`macro '${name}' takes no keyword argument '${[...rest.keys()][0]}'`);
    if (takes_more) values.push(new Tuple(args.slice(names.length)));
    else if (args.length > names.length)
      throw typeError(`macro '${name}' takes not more than ${names.length} argument(s)`);
    return values;
  }

  override get is_callable(): boolean {
    return true;
  }

  override attribute(name: string): Value | undefined {
    const signature = this.#signature;
    switch (name) {
      case "name":
        return signature.name === null ? null : new Str(signature.name);
      case "arguments":
        return new Tuple(signature.args.map((arg) => new Str(arg)));
      case "catch_kwargs":
        return signature.takes_named;
      case "catch_varargs":
        return signature.takes_more;
      case "caller":
        return signature.takes_caller;
      case "explicit_caller":
        return signature.args.includes("caller");
      default:
        return undefined;
    }
  }

  repr(): Str {
    const { name } = this.#signature;
    return new Str(`<Macro ${name === null ? "anonymous" : `'${name}'`}>`);
  }
}
