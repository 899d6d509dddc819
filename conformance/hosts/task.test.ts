import { expect, it } from "vitest";
import { CapstanError } from "../../models/index.ts";
import { fromJson, resultOfText, runTaskText, taskWorker, toJson } from "./task.ts";

const parts = { action: "add", need: "two numbers", found: "one", fix: "Give two." };
const tasks = {
  add: async ({ a, b }: { a: number; b: number }) => a + b,
  refuse: async () => {
    throw new CapstanError("bad_request", parts);
  },
  fall: () => Promise.reject(new TypeError("x is not a function")),
};
const ask = async (name: string, args: unknown) =>
  resultOfText(await runTaskText(tasks, toJson({ name, args })));

it("a task's result comes back, with the numbers that JSON lacks", async () => {
  expect(await ask("add", { a: 2, b: 3 })).toBe(5);
  expect(await ask("add", { a: 2, b: -Infinity })).toBe(-Infinity);
  const value = { a: [Number.NaN, Infinity, -Infinity, 1.5, null, "x"], b: { c: 0 } };
  expect(fromJson(toJson(value))).toEqual(value);
});

it("its error is thrown as it was there: ours with code and parts, any other by its text", async () => {
  const refused = await ask("refuse", null).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(CapstanError);
  expect(refused).toMatchObject({ code: "bad_request", parts });
  await expect(ask("fall", null)).rejects.toThrow("TypeError: x is not a function");
});

it("a task that is not there is refused with those that are", async () => {
  await expect(ask("subtract", {})).rejects.toThrow(
    "run a task: need add or refuse or fall, found subtract.",
  );
  await expect(ask("constructor", {})).rejects.toThrow("found constructor.");
});

it("a worker answers the task of a request", async () => {
  const body = toJson({ name: "add", args: { a: 1, b: 1 } });
  const response = await taskWorker(tasks).fetch(new Request("http://worker/", { method: "POST", body }));
  expect(resultOfText(await response.text())).toBe(2);
});
