import { expect, it } from "vitest";
import { entryOf, itemAt, lastOf, onlyOf, present } from "./certain.ts";

it("certain lookups give what is there, undefined, null and 0 as well", () => {
  expect([itemAt([7, 8], 1), lastOf([7, 8]), onlyOf([9])]).toEqual([8, 8, 9]);
  expect(itemAt(Float32Array.of(0.5), 0)).toBe(0.5);
  expect([itemAt([undefined], 0), onlyOf([null])]).toEqual([undefined, null]);
  expect([entryOf(new Map([["a", 1]]), "a"), entryOf(new Map([[2, undefined]]), 2)]).toEqual([1, undefined]);
  expect([present(0, "zero"), present("", "a text")]).toEqual([0, ""]);
});

it.each([
  ["an index past the end", () => itemAt([7, 8], 2), "need element 2, found a list of 2."],
  ["an index before the start", () => itemAt([7, 8], -1), "need element -1, found a list of 2."],
  ["an index that is no number", () => itemAt([7, 8], Number.NaN), "need element NaN, found a list of 2."],
  ["the last of none", () => lastOf([]), "need element -1, found a list of 0."],
  ["the only one of two", () => onlyOf([1, 2]), "need one element, found a list of 2."],
  ["the only one of none", () => onlyOf([]), "need one element, found a list of 0."],
  [
    "a key that is not there",
    () => entryOf(new Map([["a", 1]]), "b"),
    "need key b, found a map of 1 others.",
  ],
  ["null", () => present(null, "a judge"), "need a judge, found null."],
])("a mistaken one is an internal error with what was sought: %s", (_, lookUp, text) => {
  expect(lookUp).toThrow(expect.objectContaining({ code: "internal" }));
  expect(lookUp).toThrow(`look up what is certain to be there: ${text}`);
});
