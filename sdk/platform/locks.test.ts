import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { tryLock } from "./index.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "capstan-lock-"));
  path = join(folder, "run", "lock");
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Takes the lock and gives it back. */
async function takes(): Promise<boolean> {
  const lock = await tryLock(path);
  if ("pid" in lock) return false;
  await lock[Symbol.asyncDispose]();
  return true;
}

/** A lock as another process left it, untouched for some seconds. */
function leave(text: string, age_s: number): void {
  writeFileSync(path, text);
  const at = new Date(Date.now() - 1000 * age_s);
  utimesSync(path, at, at);
}

/** The id of a process that has ended. */
function deadPid(): number {
  return spawnSync(process.execPath, ["-e", ""]).pid;
}

describe("a lock that is refused at once", () => {
  it("is one caller's until it is given back, and names its holder", async () => {
    const lock = await tryLock(path);
    expect(readFileSync(path, "utf8")).toBe(`${hostname()} ${process.pid}`);
    expect(await tryLock(path)).toEqual({ host: hostname(), pid: process.pid });
    if ("pid" in lock) throw new Error("held");
    await lock[Symbol.asyncDispose]();
    expect(readdirSync(join(folder, "run"))).toEqual([]);
    expect(await takes()).toBe(true);
  });

  it("is taken over from a process of this host that is dead, and not from one that lives, however long it is busy", async () => {
    await takes();
    leave(`${hostname()} ${deadPid()}`, 0);
    expect(await takes()).toBe(true);
    leave(`${hostname()} ${process.ppid}`, 10_000);
    expect(await tryLock(path)).toEqual({ host: hostname(), pid: process.ppid });
  });

  it("is taken over from another host once nobody has touched it for two minutes", async () => {
    await takes();
    leave("elsewhere 1", 100);
    expect(await tryLock(path)).toEqual({ host: "elsewhere", pid: 1 });
    leave("elsewhere 1", 130);
    expect(await takes()).toBe(true);
  });

  it("is taken over where it has this process's id and is none of its locks, as in a container that began again", async () => {
    await takes();
    leave(`${hostname()} ${process.pid}`, 5);
    expect(await takes()).toBe(false);
    leave(`${hostname()} ${process.pid}`, 30);
    expect(await takes()).toBe(true);
  });

  it("waits a moment for a name that is being written, and takes over one that never is", async () => {
    await takes();
    leave("", 0);
    expect(await takes()).toBe(true);
  });
});
