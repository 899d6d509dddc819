import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks, python, real_model, real_model_wheel, requires } from "../../testing/parts.ts";

const script = join(import.meta.dirname, "make_model.py");
const name = basename(real_model);

function hasWheel(): boolean {
  if (requires("real-model") || existsSync(real_model_wheel)) return true;
  console.warn(`skipping tests of make_model.py: ${real_model_wheel} is not there; running it downloads it`);
  return false;
}

describe.skipIf(lacks("real-model") || lacks("python") || !hasWheel())("make_model.py", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "capstan-real-model-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function start(out: string, wheel = real_model_wheel): { child: ChildProcess; ended: Promise<string> } {
    const child = spawn(python, [script, "--out", out, "--wheel", wheel], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    return { child, ended: once(child, "close").then(([code, signal]) => `${code ?? signal}: ${stderr}`) };
  }

  it("refuses another wheel, and leaves nothing", async () => {
    const [wheel, out] = [join(folder, "other.whl"), join(folder, "refused")];
    writeFileSync(wheel, "PK");
    expect(await start(out, wheel).ended).toMatch(
      /^1: real model: read .*other\.whl: need sha256 bcc8.*found /,
    );
    expect(readdirSync(out)).toEqual([".lock"]);
  });

  it("makes a whole folder or none, once, whatever ended a run before", async () => {
    const out = join(folder, "out");
    const made = join(out, name);
    mkdirSync(made, { recursive: true });
    writeFileSync(join(made, "config.json"), "{}");

    const killed = start(out);
    while (killed.child.exitCode === null && !hasScratchWeights(out)) await setTimeout(20);
    killed.child.kill("SIGKILL");
    expect(await killed.ended).toMatch(
      /^SIGKILL: real model: .* is not what this script makes: moved to .*not-whole/,
    );
    expect(readdirSync(out).filter((file) => file === name)).toEqual([]);
    expect(readdirSync(join(out, `${name}.not-whole`))).toEqual(["config.json"]);

    // Two at once: one makes it, the other waits and finds it.
    const both = (await Promise.all([start(out).ended, start(out).ended])).sort();
    expect(both[0]).toMatch(/^0: real model: .*SmolLM2-135M-Instruct is there and whole\n$/);
    expect(both[1]).toMatch(
      /^0: real model: removing .*\nreal model: making .*\nreal model: made .* bytes\n$/,
    );
    expect(readdirSync(out).sort()).toEqual([".lock", name, `${name}.not-whole`]);
    expect(readdirSync(made).sort()).toEqual([
      "config.json",
      "generation_config.json",
      "model.safetensors",
      "special_tokens_map.json",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    expect(statSync(join(made, "model.safetensors")).size).toBe(269_060_552);
  }, 600_000);
});

/** Whether a run is in the middle of the weights. */
function hasScratchWeights(out: string): boolean {
  const scratch = existsSync(out) ? readdirSync(out).find((file) => file.startsWith(".making-")) : undefined;
  const weights = scratch === undefined ? undefined : join(out, scratch, name, "model.safetensors");
  return weights !== undefined && existsSync(weights) && statSync(weights).size > 2 ** 20;
}
