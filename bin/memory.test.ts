import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";

const root = join(import.meta.dirname, "..");

/** Requests one after the other, then many at once, on an engine whose memory ends at 80 MiB: tokens of each. */
const SCRIPT = `
const { generate, load } = await import(process.cwd() + "/dist/js/index.js");
const model = await load("capstan-tiny", { device: "wasm" });
const prompt = (n, first) => Array.from({ length: n }, (_, i) => 300 + ((first + 7 * i) % 1000));
const ask = (n, first) => generate(model, prompt(n, first), { temperature: 0, max_tokens: 6, logit_bias: { 2: -99 } });
const replies = [];
for (let n = 0; n < 30; n++) replies.push(await ask(300, 31 * n).result);
replies.push(...(await Promise.all(Array.from({ length: 20 }, (_, n) => ask(30 * (n % 30) + 5, 17 * n).result))));
console.log(JSON.stringify(replies.map(({ tokens }) => [...tokens])));
await model.dispose();
`;

function run(...flags: string[]): unknown {
  const args = [...flags, "--input-type=module", "-e", SCRIPT];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8" });
  expect([status, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout);
}

beforeAll(() => {
  // Builds dist/ where a source is newer.
  spawnSync(process.execPath, ["bin/capstan.mjs", "--version"], { cwd: root });
});

it("where the engine's memory really ends, every request gets the reply that it gets with memory for all", () => {
  expect(run("--wasm-max-mem-pages=1280")).toEqual(run());
});
