import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { FileSource } from "../../types.ts";
import {
  folderSource,
  isPlainName,
  memorySource,
  readSourceJson,
  readSourceText,
  resolveSource,
} from "./index.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "capstan-source-"));
  mkdirSync(join(folder, "my-model", "roles"), { recursive: true });
  writeFileSync(join(folder, "my-model", "config.json"), '{"a": 1}');
  writeFileSync(join(folder, "my-model", "roles", "pirate.json"), "0123456789");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("folders", () => {
  test("are read by name and range", async () => {
    const source = await folderSource(join(folder, "my-model"));
    expect(await source.size("roles/pirate.json")).toBe(10);
    expect(new TextDecoder().decode(await source.read("roles/pirate.json", 2, 5))).toBe("234");
    expect(await source.size("missing.json")).toBeUndefined();
    expect(await source.size("roles")).toBeUndefined();
    expect(await source.size("config.json/x")).toBeUndefined();
    await expect(source.read("missing.json", 0, 1)).rejects.toMatchObject({ code: "not_found" });
    await expect(source.read("config.json", 0, 100)).rejects.toMatchObject({ code: "bad_file" });
  });

  test.each(["../x", "/etc/passwd", "a/../../x", "", "a//b", "./a", "..", "a\\b", "C:x", "a\0b"])(
    "are not left by the name %j",
    async (name) => {
      expect(isPlainName(name)).toBe(false);
      const source = await folderSource(folder);
      await expect(source.size(name)).rejects.toMatchObject({ code: "bad_request" });
      await expect(source.read(name, 0, 1)).rejects.toMatchObject({ code: "bad_request" });
    },
  );

  test("that are none say so", async () => {
    await expect(folderSource(join(folder, "nope"))).rejects.toMatchObject({ code: "not_found" });
    await expect(folderSource(join(folder, "my-model", "config.json"))).rejects.toThrow("found a file");
  });
});

describe("what load is given", () => {
  test("a folder goes by its name", async () => {
    const { id, files } = await resolveSource(`${join(folder, "my-model")}/`);
    expect(id).toBe("my-model");
    expect(await files.size("config.json")).toBe(8);
  });

  test("a URL may be an object, and one of file: is a folder", async () => {
    const path = join(folder, "my-model");
    for (const given of [pathToFileURL(path), pathToFileURL(`${path}/`).href, `file://localhost${path}`]) {
      const { id, files } = await resolveSource(given);
      expect([id, await files.size("config.json")]).toEqual(["my-model", 8]);
    }
    const { id } = await resolveSource(new URL("http://127.0.0.1:9/models/some-model/"));
    expect(id).toBe("some-model");
    await expect(resolveSource("file://elsewhere/x")).rejects.toThrow("a file: URL of this machine");
  });

  test("a URL with a password in it is refused without showing it", async () => {
    const wrong = resolveSource("https://me:SECRET@127.0.0.1/model?token=SECRET");
    await expect(wrong).rejects.toMatchObject({ code: "bad_request" });
    const { message } = (await wrong.catch((error: Error) => error)) as Error;
    expect(message).toContain("without a user name and password");
    expect(message).not.toMatch(/SECRET|me:/);
  });

  test("a source is taken as it is", async () => {
    const files = memorySource({});
    expect(await resolveSource(files)).toEqual({ id: "model", files });
  });

  test.each([
    ["s3://bucket/model", "unsupported", "found a URL"],
    ["./someone/some-model", "not_found", "no such folder"],
    ["captsan-tiny", "not_found", 'the embedded model "capstan-tiny"'],
    ["", "bad_request", 'found ""'],
  ])("%j is %s", async (source, code, text) => {
    const error: unknown = await resolveSource(source).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, message: expect.stringContaining(text) });
  });

  test.each([null, 7, {}, { size: 1, read: 2 }])("%j is a bad request", async (source) => {
    const promise = resolveSource(source as unknown as FileSource);
    await expect(promise).rejects.toMatchObject({ code: "bad_request" });
  });
});

describe("small files", () => {
  const files = memorySource({
    "bom.json": "\ufeff{}",
    "list.json": "[]",
    "cut.json": '{"a":',
    "empty.json": "",
    "latin1.txt": Uint8Array.of(0xe9),
  });

  test("are read as text and JSON", async () => {
    expect(await readSourceJson(files, "bom.json")).toEqual({});
    expect(await readSourceJson(files, "none.json")).toBeUndefined();
    expect(await readSourceText(files, "list.json")).toBe("[]");
  });

  test.each([
    ["list.json", "found []"],
    ["cut.json", "need JSON"],
    ["empty.json", "found an empty file"],
    ["latin1.txt", "UTF-8"],
  ])("%s is refused", async (name, text) => {
    const promise = readSourceJson(files, name);
    await expect(promise).rejects.toMatchObject({ code: "bad_file", message: expect.stringContaining(text) });
  });

  test("a size beyond reason is refused before it is read", async () => {
    const huge: FileSource = { size: async () => 2 ** 40, read: () => Promise.reject(new Error("read")) };
    await expect(readSourceJson(huge, "config.json")).rejects.toMatchObject({ code: "bad_file" });
  });
});
