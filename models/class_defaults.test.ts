import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { buildProgram, knownArchitectures, memoryNeed, type RawConfig, readDecoder } from "./index.ts";

/**
 * What transformers' config classes say where config.json says nothing (`conformance/reference/defaults.py`): a config of
 * its sizes alone is read as one with every field written out, and has as many parameters as the class's model.
 */
const FILE = join(import.meta.dirname, "..", "conformance", "reference", "class_defaults.json");
const CLASSES: Record<string, { least: RawConfig; whole: RawConfig; n_parameters: number }> = JSON.parse(
  readFileSync(FILE, "utf8"),
);

describe.each(Object.entries(CLASSES))("%s", (model_type, { least, whole, n_parameters }) => {
  test("reads what is not written as its class does", () => {
    expect(readDecoder(least)).toEqual(readDecoder(whole));
  });

  test("has its class's parameters", () => {
    const { spec } = readDecoder(whole);
    // The first two rows of OPT's positions are never read.
    const unread = model_type === "opt" ? 2 * spec.d_model : 0;
    expect(memoryNeed(buildProgram(readDecoder(whole))).n_parameters).toBe(n_parameters - unread);
  });
});

test("every family is there but those that wrap another", () => {
  const families = knownArchitectures().filter((name) => name !== "gemma3" && name !== "mistral3");
  expect(Object.keys(CLASSES)).toEqual(families);
});
