import { beforeAll, describe, expect, it } from "vitest";
import { folderSource } from "../../checkpoint/source/index.ts";
import { load } from "../../inference/load.ts";
import { packageFile } from "../../platform/index.ts";
import type { FileSource } from "../../types.ts";
import { memoryStore } from "../run/store.ts";
import { collect } from "./collect.ts";

/** Roles by the recipe of a model's folder: those that it names are those that it holds. */

let folder: FileSource;
beforeAll(async () => {
  folder = await folderSource(packageFile("models/capstan-tiny"));
});

const OPTIONS = { limit: 1, max_tokens: 1, judge: null };

/** The embedded model's folder with another recipe, and what was asked for and not there. */
function watched(change: (recipe: Record<string, unknown>) => void = () => {}): {
  source: FileSource;
  missed: string[];
} {
  const missed: string[] = [];
  const recipe = async () => {
    const bytes = await folder.read("capstan.json", 0, (await folder.size("capstan.json"))!);
    const read = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    change(read);
    return new TextEncoder().encode(JSON.stringify(read));
  };
  const source: FileSource = {
    async size(name) {
      const size = name === "capstan.json" ? (await recipe()).length : await folder.size(name);
      if (size === undefined) missed.push(name);
      return size;
    },
    read: async (name, start, end) =>
      name === "capstan.json" ? (await recipe()).subarray(start, end) : await folder.read(name, start, end),
  };
  return { source, missed };
}

describe("roles of the embedded model's recipe", () => {
  it("are all in its folder: nothing is asked for that is not there", async () => {
    const { source, missed } = watched();
    await using model = await load(source, { device: "wasm" });
    const run = await collect(model, { ...OPTIONS, out: memoryStore() });
    expect(Object.keys(run.manifest.roles)).toHaveLength(45);
    expect(missed.filter((name) => name.startsWith("roles/"))).toEqual([]);
  });

  it("an error names roles that a call may then ask for", async () => {
    await using model = await load(watched().source, { device: "wasm" });
    const error = await collect(model, { ...OPTIONS, roles: ["ghost"] }).catch((thrown: Error) => thrown);
    const [, list = ""] = /recipe \((.*), \.\.\.\)/.exec(String(error)) ?? [];
    const named = list.split(", ");
    expect(named).toHaveLength(8);
    const run = await collect(model, { ...OPTIONS, roles: named });
    expect(Object.keys(run.manifest.roles).sort()).toEqual(["default", ...named].sort());
  });

  it("without names are those of the judge's that the folder holds", async () => {
    const { source } = watched((recipe) => delete recipe.role_names);
    await using model = await load(source, { device: "wasm" });
    const run = await collect(model, { ...OPTIONS, out: memoryStore() });
    expect(Object.keys(run.manifest.roles)).toHaveLength(45);
    // The judge has bounds for it, and the folder has no file of it.
    await expect(collect(model, { ...OPTIONS, roles: ["editor"] })).rejects.toThrow(/found "editor"/);
  });

  it("with a name that the folder lacks are an error that names the file", async () => {
    const { source } = watched((recipe) => (recipe.role_names as string[]).push("editor"));
    await using model = await load(source, { device: "wasm" });
    await expect(collect(model, OPTIONS)).rejects.toThrow(/roles\/editor\.json/);
  });
});
