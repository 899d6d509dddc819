import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { CASES, reference } from "../../testing/cases.ts";
import { chromium_path, lacks } from "../../testing/parts.ts";
import { runConformance } from "../../testing/run_conformance.ts";
import { buildDist, root } from "../../testing/runtimes/runtimes.ts";
import type { CaseReport } from "../check/report.ts";

import { CHROMIUM_FLAGS } from "./page_host.ts";

const pathOf = (name: string) => join(reference, name);

interface Result {
  passed: boolean;
  cases: CaseReport[];
}

async function check(...args: string[]): Promise<Result> {
  const { stdout, stderr, code } = await runConformance(...args, "--json");
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return JSON.parse(stdout);
}

beforeAll(buildDist);

describe.skipIf(lacks("workerd"))("--runtime workerd", () => {
  it("every case is within its bounds", async () => {
    const { passed, cases } = await check(...CASES.map(pathOf), "--runtime", "workerd");
    expect(passed).toBe(true);
    expect(cases.map(({ case: name }) => name)).toEqual(CASES);
    for (const { runtime, device } of cases) expect([runtime, device.kind]).toEqual(["workerd", "wasm"]);
  });

  it("says what it lacks, in the words of the error there", async () => {
    const webgpu = await runConformance(pathOf("llama-tied"), "--runtime", "workerd", "--device", "webgpu");
    expect(webgpu.code).toBe(1);
    expect(webgpu.stderr).toMatch(/llama-tied\n.*need a runtime with WebGPU, found none in workerd/);
    const folder = mkdtempSync(join(tmpdir(), "capstan-no-case-"));
    const none = await runConformance(folder, "--runtime", "workerd");
    rmSync(folder, { recursive: true });
    expect(none.code).toBe(1);
    expect(none.stderr).toMatch(/need case.json, found no such file/);
  });

  it("says which program is not there", async () => {
    process.env.CAPSTAN_WORKERD = "/nowhere/workerd";
    const { code, stderr } = await runConformance(pathOf("llama-tied"), "--runtime", "workerd");
    delete process.env.CAPSTAN_WORKERD;
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^capstan: run cases in workerd: need \/nowhere\/workerd to run on, found .*ENOENT\.\n$/,
    );
  });
});

describe.skipIf(lacks("chromium"))("--runtime chromium", () => {
  it("every case is within its bounds, and no profile is left behind", async () => {
    const profiles = () => readdirSync(tmpdir()).filter((name) => name.startsWith("capstan-chromium-"));
    const before = profiles();
    const { passed, cases } = await check(...CASES.map(pathOf), "--runtime", "chromium", "--device", "wasm");
    expect(passed).toBe(true);
    expect(cases.map(({ case: name }) => name)).toEqual(CASES);
    for (const { runtime } of cases) expect(runtime).toMatch(/^chrome \d+$/);
    expect(profiles()).toEqual(before);
  });

  it("says what the browser said when it ends at once", async () => {
    process.env.CAPSTAN_CHROMIUM = "/bin/false";
    const { code, stderr } = await runConformance(pathOf("llama-tied"), "--runtime", "chromium");
    delete process.env.CAPSTAN_CHROMIUM;
    expect(code).toBe(1);
    expect(stderr).toMatch(/need \/bin\/false to run on, found its end \(1\)/);
  });
});

describe.skipIf(lacks("chromium"))("--runtime page", () => {
  it("any browser that opens the page checks the cases, and goes on when it is opened again", async () => {
    const args = ["conformance", pathOf("llama-tied"), pathOf("gpt2"), "--runtime", "page", "--json"];
    const child = spawn(process.execPath, ["bin/capstan.mjs", ...args], { cwd: root });
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    const closed = new Promise((resolve) => child.on("close", resolve));
    const address = await new Promise<string>((resolve) => {
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        const found = /http:\S+/.exec(text);
        if (found !== null) resolve(found[0]);
      });
    });
    const flags = ["--no-sandbox", ...CHROMIUM_FLAGS];
    const browser = await chromium.launch({ executablePath: chromium_path, headless: true, args: flags });
    try {
      // Opened, closed before anything was done, and opened again.
      const first = await browser.newPage();
      await first.goto(address, { waitUntil: "commit" });
      await first.close();
      const page = await browser.newPage();
      await page.goto(address);
      expect(await closed).toBe(0);
      expect(await page.locator("li").allTextContents()).toEqual(["ok llama-tied", "ok gpt2"]);
      expect((JSON.parse(stdout) as Result).cases.map(({ passed }) => passed)).toEqual([true, true]);
      const origin = new URL(address).origin;
      expect(origin).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    } finally {
      child.kill();
      await browser.close();
    }
  });
});
