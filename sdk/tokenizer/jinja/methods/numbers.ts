import { Builtin, positional } from "../python/calls.ts";
import { Tuple } from "../python/collections.ts";
import { Fault } from "../python/errors.ts";
import { fractionOf } from "../python/numbers.ts";
import { type Arguments, int, type Value } from "../python/object.ts";

const method = (name: string, run: () => Value): Builtin =>
  new Builtin(name, (call: Arguments) => {
    positional(call, name, 0);
    return run();
  });

/** Attributes of int and bool. */
export function integerAttribute(self: bigint, name: string): Value | undefined {
  switch (name) {
    case "real":
    case "numerator":
      return self;
    case "imag":
      return 0n;
    case "denominator":
      return 1n;
    case "bit_length":
      return method(name, () => int(self === 0n ? 0 : absolute(self).toString(2).length));
    case "bit_count":
      return method(name, () => int(absolute(self).toString(2).replaceAll("0", "").length));
    case "conjugate":
      return method(name, () => self);
    case "as_integer_ratio":
      return method(name, () => new Tuple([self, 1n]));
    default:
      return undefined;
  }
}

const absolute = (value: bigint) => (value < 0n ? -value : value);

/** Attributes of float. */
export function floatAttribute(self: number, name: string): Value | undefined {
  switch (name) {
    case "real":
      return self;
    case "imag":
      return 0;
    case "is_integer":
      return method(name, () => Number.isInteger(self));
    case "conjugate":
      return method(name, () => self);
    case "as_integer_ratio":
      return method(name, () => {
        if (!Number.isFinite(self)) throw new Fault("ValueError", "cannot convert to an integer ratio");
        let { numerator, denominator } = fractionOf(self);
        while (denominator > 1n && numerator % 2n === 0n)
          [numerator, denominator] = [numerator / 2n, denominator / 2n];
        return new Tuple([numerator, denominator]);
      });
    default:
      return undefined;
  }
}
