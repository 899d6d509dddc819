import { argument, type Call, join, numberArgument, replaced, textArgument } from "./python_filters.ts";
import * as text from "./python_text.ts";
import { isText, type ListValue, listOf, noneValue, type Value, wrap } from "./python_values.ts";

type Method = (whole: string, call: Call) => Value;

const stripped =
  (side: "both" | "left" | "right"): Method =>
  (whole, call) => {
    const chars = argument(call, 0, "chars");
    return wrap(text.strip(whole, side, isText(chars) ? chars.value : undefined));
  };

function textList(parts: string[]): ListValue {
  return listOf(parts.map(wrap));
}

const separatorOf = (call: Call): string | null => {
  const separator = argument(call, 0, "sep");
  return separator === undefined || separator.type === "NullValue" ? null : textArgument(call, 0, "sep");
};

/** Python counts in code points. */
const indexOf = (whole: string, at: number) => (at < 0 ? -1 : text.length(whole.slice(0, at)));

/** Methods of texts that the library lacks, or computes otherwise than Python does. */
export const TEXT_METHODS: Readonly<Record<string, Method>> = {
  strip: stripped("both"),
  lstrip: stripped("left"),
  rstrip: stripped("right"),
  split: (whole, call) =>
    textList(text.split(whole, separatorOf(call), numberArgument(call, 1, "maxsplit", -1))),
  rsplit: (whole, call) => {
    const separator = separatorOf(call);
    const most = numberArgument(call, 1, "maxsplit", -1);
    return textList(
      separator === null ? text.split(whole, null, -1) : text.splitFromRight(whole, separator, most),
    );
  },
  splitlines: (whole) => textList(text.splitLines(whole)),
  partition: (whole, call) => {
    const separator = textArgument(call, 0, "sep");
    const at = whole.indexOf(separator);
    return textList(
      at < 0 ? [whole, "", ""] : [whole.slice(0, at), separator, whole.slice(at + separator.length)],
    );
  },
  replace: replaced,
  join: (whole, call) => join(call.args[0] ?? noneValue, { ...call, args: [wrap(whole)] }),
  capitalize: (whole) => wrap(text.capitalize(whole)),
  title: (whole) => wrap(text.title(whole)),
  find: (whole, call) => wrap(indexOf(whole, whole.indexOf(textArgument(call, 0, "sub")))),
  rfind: (whole, call) => wrap(indexOf(whole, whole.lastIndexOf(textArgument(call, 0, "sub")))),
  count: (whole, call) => {
    const part = textArgument(call, 0, "sub");
    return wrap(part === "" ? text.length(whole) + 1 : whole.split(part).length - 1);
  },
  removeprefix: (whole, call) => {
    const prefix = textArgument(call, 0, "prefix");
    return wrap(whole.startsWith(prefix) ? whole.slice(prefix.length) : whole);
  },
  removesuffix: (whole, call) => {
    const suffix = textArgument(call, 0, "suffix");
    return wrap(suffix !== "" && whole.endsWith(suffix) ? whole.slice(0, -suffix.length) : whole);
  },
  isdigit: (whole) => wrap(/^\p{Nd}+$/u.test(whole)),
  isalpha: (whole) => wrap(/^\p{L}+$/u.test(whole)),
  isspace: (whole) => wrap(whole !== "" && text.strip(whole, "both") === ""),
  islower: (whole) => wrap(/\p{Cased}/u.test(whole) && whole === whole.toLowerCase()),
  isupper: (whole) => wrap(/\p{Cased}/u.test(whole) && whole === whole.toUpperCase()),
};
