import { CapstanError } from "../../../models/index.ts";
import type { FileSource } from "../../types.ts";

/** A file source over files in memory: for tests, and for workers that hold a model's files already. */
export function memorySource(files: Readonly<Record<string, Uint8Array | string>>): FileSource {
  const held = new Map<string, Uint8Array>();
  for (const [name, data] of Object.entries(files)) {
    held.set(name, typeof data === "string" ? new TextEncoder().encode(data) : data);
  }
  return {
    async size(name) {
      return held.get(name)?.length;
    },
    async read(name, start, end) {
      const bytes = held.get(name);
      if (bytes !== undefined) return bytes.subarray(start, end);
      throw new CapstanError("not_found", {
        action: `read ${name}`,
        need: "the file",
        found: "none of that name",
      });
    },
  };
}
