import { execFileSync } from "node:child_process";
import { lstatSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CapstanError } from "../../models/index.ts";
import * as platform from "./index.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "capstan-platform-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(CapstanError);
  return (error as CapstanError).code;
}

describe("files", () => {
  test.skipIf(process.platform === "win32")(
    "an atomic write keeps links, and writes to devices",
    async () => {
      const [real, link] = [join(folder, "linked", "real.txt"), join(folder, "link.txt")];
      await platform.writeFileAtomic(real, "one");
      symlinkSync(real, link);
      await platform.writeFileAtomic(link, "two");
      expect([await platform.readText(real), lstatSync(link).isSymbolicLink()]).toEqual(["two", true]);
      // A pipe stands for any device: as root, a rename would put a file in its place.
      const pipe = join(folder, "pipe");
      execFileSync("mkfifo", [pipe]);
      const [read] = await Promise.all([readFile(pipe, "utf8"), platform.writeFileAtomic(pipe, "three")]);
      expect([read, lstatSync(pipe).isFIFO()]).toEqual(["three", true]);
    },
  );

  test("an atomic write makes folders, replaces, and leaves nothing else behind", async () => {
    const path = join(folder, "a", "b.txt");
    await platform.writeFileAtomic(path, "one");
    await platform.writeFileAtomic(path, new TextEncoder().encode("two"));
    expect(await platform.readText(path)).toBe("two");
    expect(readdirSync(join(folder, "a"))).toEqual(["b.txt"]);
  });

  test("an atomic write that fails leaves the old file and no temporary one", async () => {
    const taken = join(folder, "taken");
    await platform.makeFolder(join(taken, "inside"));
    expect(await codeOf(platform.writeFileAtomic(taken, "x"))).toBe("bad_file");
    expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  test("a line appended after a torn one stands on a line of its own", async () => {
    const path = join(folder, "log.jsonl");
    await platform.appendLine(path, "1");
    writeFileSync(path, "1\nto", { flag: "w" });
    await platform.appendLine(path, "2");
    await platform.appendLine(path, "3");
    expect(await platform.readText(path)).toBe("1\nto\n2\n3\n");
  });

  test("ranges are read by position, and past the end is an error", async () => {
    const path = join(folder, "bytes");
    await platform.writeFileAtomic(
      path,
      Uint8Array.from({ length: 10 }, (_, i) => i),
    );
    await using file = await platform.openFile(path);
    expect(file.size).toBe(10);
    expect([...(await file.read(3, 6))]).toEqual([3, 4, 5]);
    expect([...(await file.read(4, 4))]).toEqual([]);
    expect(await codeOf(file.read(8, 11))).toBe("bad_file");
  });

  test("what is not there says so", async () => {
    const path = join(folder, "missing");
    expect(await codeOf(platform.readFile(path))).toBe("not_found");
    expect(await codeOf(platform.openFile(path))).toBe("not_found");
    expect(await codeOf(platform.listFolder(path))).toBe("not_found");
    expect(await codeOf(platform.openFile(folder))).toBe("bad_file");
    expect(await platform.fileKind(path)).toBe("none");
    expect(await platform.fileSize(path)).toBeUndefined();
    expect(await platform.exists(folder)).toBe(true);
    await platform.remove(path);
  });

  test("text must be UTF-8", async () => {
    const path = join(folder, "latin1");
    await platform.writeFileAtomic(path, Uint8Array.of(0xe9, 0x20));
    expect(await codeOf(platform.readText(path))).toBe("bad_file");
  });
});

describe("process", () => {
  test("says what runs it", () => {
    expect(platform.runtimeName()).toBe(`node ${process.versions.node}`);
    expect(platform.cpu().count).toBeGreaterThan(0);
    const { available, total, resident } = platform.memory();
    for (const bytes of [available, total, resident]) expect(bytes).toBeGreaterThan(2 ** 20);
  });

  test("hashes parts as if joined", async () => {
    const known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    expect(await platform.sha256("abc")).toBe(known);
    expect(await platform.sha256("a", new TextEncoder().encode("bc"))).toBe(known);
  });

  test("seeds are 32 bits and differ", () => {
    const seeds = new Set(Array.from({ length: 8 }, platform.randomSeed));
    expect(seeds.size).toBeGreaterThan(6);
    for (const seed of seeds) expect(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32).toBe(true);
  });

  test("an interrupt calls the handler until it is given back", () => {
    const seen: string[] = [];
    const before = process.listenerCount("SIGINT");
    const off = platform.onInterrupt((signal) => seen.push(signal));
    process.emit("SIGINT");
    process.emit("SIGTERM");
    off();
    expect(seen).toEqual(["SIGINT", "SIGTERM"]);
    expect(process.listenerCount("SIGINT")).toBe(before);
  });
});

describe("assets", () => {
  test("finds the package from source", async () => {
    expect(await platform.packageVersion()).toMatch(/^\d+\.\d+\.\d+/);
    expect(await platform.readText(platform.packageFile("sdk/types.ts"))).toContain("FileSource");
    expect(await platform.fileKind(platform.packageFile("package.json"))).toBe("file");
  });
});

describe("programs", () => {
  test("one that serves is read line by line, and ends when it is disposed of", async () => {
    const code = "console.log('a'); console.log('port 7'); setInterval(() => {}, 1000)";
    const program = platform.startProgram(process.execPath, ["-e", code], "test it");
    expect((await program.readLine(/port (\d+)/))[1]).toBe("7");
    await program[Symbol.asyncDispose]();
    await expect(program.ended).rejects.toThrow(/test it: need .* to run on, found its end \(SIGTERM\)/);
  });

  test("one that ends says its last words", async () => {
    const code = "console.error('first'); console.error('no luck'); process.exit(3)";
    const program = platform.startProgram(process.execPath, ["-e", code], "test it");
    await expect(program.readLine(/never/)).rejects.toThrow(/found its end \(3\): no luck/);
    await program[Symbol.asyncDispose]();
  });

  test("one is found by its name, its path, or not at all", async () => {
    const path = join(folder, "tool");
    await platform.writeFileAtomic(path, "");
    expect(await platform.findProgram([join(folder, "none"), path])).toBe(path);
    expect(await platform.findProgram(["node"])).toMatch(/node/);
    expect(await platform.findProgram(["capstan-no-such-program"])).toBe(undefined);
  });
});

describe("a server on the loopback", () => {
  test("gives files and ranges of its folders and nothing above them", async () => {
    await platform.writeFileAtomic(join(folder, "served", "a b.json"), "0123456789");
    await platform.writeFileAtomic(join(folder, "secret"), "no");
    const folders: Record<string, string> = {};
    await using server = await platform.serveLocally({
      folders,
      answer: async (path, body) => (path === "/echo" ? { type: "text/plain", text: body } : undefined),
    });
    const get = async (path: string, init: RequestInit = {}) => {
      const response = await fetch(`${server.origin}${path}`, init);
      return [response.status, await response.text()];
    };
    expect(await get("/x/a%20b.json")).toEqual([404, ""]);
    folders["/x/"] = join(folder, "served");
    expect(await get("/x/a%20b.json")).toEqual([200, "0123456789"]);
    expect(await get("/x/a%20b.json", { headers: { range: "bytes=2-4" } })).toEqual([206, "234"]);
    expect(await get("/x/a%20b.json", { headers: { range: "bytes=8-99" } })).toEqual([206, "89"]);
    expect((await get("/x/a%20b.json", { headers: { range: "bytes=10-12" } }))[0]).toBe(416);
    for (const path of [
      "/x/..%2fsecret",
      "/x/%2e%2e/secret",
      "/x/..%5csecret",
      "/x/",
      "/x/none",
      "/secret",
    ]) {
      expect((await get(path))[0]).toBe(404);
    }
    expect(await get("/echo", { method: "POST", body: "äöü" })).toEqual([200, "äöü"]);
    expect((await get("/x/%ff"))[0]).toBe(500);
  });
});
