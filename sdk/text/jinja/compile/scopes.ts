import { itemAt } from "../../../../models/certain.ts";
import { Dict, Tuple } from "../python/collections.ts";
import { Fault, valueError } from "../python/errors.ts";
import type { Value } from "../python/object.ts";
import { iterate } from "../python/protocols.ts";
import { Str } from "../python/text/str.ts";
import { Namespace } from "../runtime/objects.ts";
import { type Activation, MISSING } from "../runtime/rendering.ts";
import type { Target } from "../syntax/nodes.ts";
import type { CompileFrame } from "./frame.ts";
import type { Symbols } from "./symbols.ts";

/** Entering and leaving scopes, and binding names in them. */

/** Gives a scope's variables what they begin with. */
export function enterScope(symbols: Symbols): (at: Activation) => void {
  const starts = [...symbols.starts];
  return (at) => {
    for (const [variable, start] of starts) {
      switch (start.how) {
        case "parameter":
          break;
        case "resolve":
          at.set(variable, at.context.resolve(start.name));
          break;
        case "alias":
          at.set(variable, at.get(start.of));
          break;
        case "missing":
          at.set(variable, MISSING);
          break;
        default:
          start satisfies never;
      }
    }
  };
}

/** Forgets a scope's variables. */
export function leaveScope(symbols: Symbols): (at: Activation) => void {
  const variables = [...symbols.starts.keys()];
  return (at) => {
    for (const variable of variables) at.set(variable, MISSING);
  };
}

/** Binds a value to a target: a name, a namespace's attribute, or several. */
export function assign(target: Target, symbols: Symbols): (at: Activation, value: Value) => void {
  switch (target.kind) {
    case "Name": {
      const variable = symbols.variable(target.name);
      return (at, value) => at.set(variable, value);
    }
    case "NamespaceRef": {
      const variable = symbols.variable(target.name);
      return (at, value) => setAttribute(at.get(variable), target.attribute, value);
    }
    case "Tuple": {
      const parts = target.items.map((item) => assign(item as Target, symbols));
      return (at, value) => {
        for (const [i, part] of unpacked(value, parts.length).entries()) itemAt(parts, i)(at, part);
      };
    }
    default:
      return target satisfies never;
  }
}

/** Python's `owner[attribute] = value`, which a set block does without asking whether it is a namespace. */
function setAttribute(owner: Value | typeof MISSING, attribute: string, value: Value): void {
  if (owner instanceof Namespace) owner.set(attribute, value);
  else if (owner instanceof Dict) owner.set(new Str(attribute), value);
  else throw new Fault("TypeError", "the object does not support item assignment");
}

function unpacked(value: Value, count: number): Value[] {
  const items = iterate(value);
  const values: Value[] = [];
  for (let next = items.next(); !next.done; next = items.next()) {
    if (values.length === count) throw valueError(`too many values to unpack (expected ${count})`);
    values.push(next.value);
  }
  if (values.length < count)
    throw valueError(`not enough values to unpack (expected ${count}, got ${values.length})`);
  return values;
}

/** The value that a target holds. */
export function heldBy(target: Target, symbols: Symbols): (at: Activation) => Value {
  if (target.kind === "Tuple") {
    const parts = target.items.map((item) => heldBy(item as Target, symbols));
    return (at) => new Tuple(parts.map((part) => part(at)));
  }
  const variable = symbols.variable(target.name);
  return (at) => {
    const value = at.get(variable);
    return value === MISSING ? null : value;
  };
}

/** Names that a `set` binds, where blocks are to see them. */
export function exported(target: Target, frame: CompileFrame): (at: Activation) => void {
  if (!frame.is_toplevel) return () => {};
  const names: [string, string][] = [];
  const collect = (node: Target) => {
    if (node.kind === "Name") names.push([node.name, frame.symbols.variable(node.name)]);
    else if (node.kind === "Tuple") for (const item of node.items) collect(item as Target);
  };
  collect(target);
  return (at) => {
    for (const [name, variable] of names) {
      const value = at.get(variable);
      if (value !== MISSING) at.context.set.set(name, value);
    }
  };
}
