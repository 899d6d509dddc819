import { typeError } from "./errors.ts";
import { type Arguments, PyObject, type Value } from "./object.ts";
import { Str } from "./text/str.ts";

/** A function of Python's that templates can call. */
export class Builtin extends PyObject {
  readonly type: string;
  readonly name: string;
  readonly #run: (call: Arguments) => Value;

  constructor(name: string, run: (call: Arguments) => Value, type = "builtin_function_or_method") {
    super();
    this.name = name;
    this.#run = run;
    this.type = type;
  }

  override call(call: Arguments): Value {
    return this.#run(call);
  }

  override get is_callable(): boolean {
    return true;
  }

  /** Python prints its address, too. */
  repr(): Str {
    return new Str(`<function ${this.name}>`);
  }
}

type Bound<R extends readonly string[], O extends readonly string[]> = [
  ...{ [K in keyof R]: Value },
  ...{ [K in keyof O]: Value | undefined },
];

/**
 * Values of parameters by position or name, as Python binds them; those that are left out are undefined.
 *
 * @throws Fault `TypeError` for arguments that are too many, unknown, given twice or missing
 */
export function bind<const R extends readonly string[], const O extends readonly string[] = []>(
  { args, named }: Arguments,
  name: string,
  required: R,
  optional?: O,
): Bound<R, O> {
  const names = [...required, ...(optional ?? [])];
  if (args.length > names.length)
    throw typeError(`${name}() takes ${names.length} arguments but ${args.length} were given`);
  const values: (Value | undefined)[] = names.map((_, i) => args[i]);
  for (const [key, value] of named) {
    const index = names.indexOf(key);
    if (index < 0) throw typeError(`${name}() got an unexpected keyword argument '${key}'`);
    if (values[index] !== undefined) throw typeError(`${name}() got multiple values for argument '${key}'`);
    values[index] = value;
  }
  const missing = required.find((_, i) => values[i] === undefined);
  if (missing !== undefined) throw typeError(`${name}() missing required argument '${missing}'`);
  return values as Bound<R, O>;
}

/** Arguments of a function that takes them by position alone. */
export function positional<Least extends number>(
  { args, named }: Arguments,
  name: string,
  least: Least,
  most: number = least,
): AtLeast<Least> {
  if (named.size > 0) throw typeError(`${name}() takes no keyword arguments`);
  if (args.length < least || args.length > most)
    throw typeError(
      `${name}() takes ${least === most ? least : `${least} to ${most}`} arguments (${args.length} given)`,
    );
  return args as readonly Value[] as AtLeast<Least>;
}

type AtLeast<Count extends number> = Count extends 1
  ? readonly [Value, ...Value[]]
  : Count extends 2
    ? readonly [Value, Value, ...Value[]]
    : readonly Value[];
