import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** The folder of the reference cases. */
export const reference: string = join(import.meta.dirname, "..", "conformance", "reference");

/** Names of all of them. */
export const CASES: readonly string[] = readdirSync(reference).filter((name) =>
  existsSync(join(reference, name, "case.json")),
);
