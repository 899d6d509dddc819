import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { serveHub } from "../../sdk/checkpoint/hub/fixtures/hub_server.ts";
import * as safetensors from "../../sdk/checkpoint/safetensors/index.ts";
import { folderSource } from "../../sdk/checkpoint/source/index.ts";
import * as capstan from "../../sdk/index.ts";
import { packageFile } from "../../sdk/platform/index.ts";
import { stubEndpoint } from "../../sdk/science/judge/fixtures/stub.ts";
import * as plots from "../../sdk/science/plots/index.ts";
import type { FileSource, Model } from "../../sdk/types.ts";
import { filesOf, root } from "../mutants/tree.ts";

/**
 * Every `@example` of a docstring runs as it is written: with the public names and those of its own file, on a small
 * experiment with the embedded model, in an empty folder. A line that ends in `// value` has that value.
 */

interface Example {
  name: string;
  file: string;
  code: string;
}

function examplesOf(file: string): Example[] {
  const text = readFileSync(join(root, file), "utf8");
  if (!text.includes("@example")) return [];
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found: Example[] = [];
  const visit = (node: ts.Node): void => {
    for (const tag of ts.getJSDocTags(node)) {
      if (tag.tagName.text !== "example" || tag.parent.parent !== node) continue;
      const name = (node as { name?: ts.Identifier }).name?.text ?? "?";
      found.push({ name, file, code: ts.getTextOfJSDocComment(tag.comment) ?? "" });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

const sources = filesOf().files.filter((file) =>
  /^(models|core-wasm|gpu|sdk|edge-worker|conformance)\/.*(?<!\.test|\.d)\.ts$/.test(file),
);
const EXAMPLES = sources.flatMap(examplesOf);

/** A small experiment: few roles, whose files say what a judge is asked, short replies, a suite of some prompts. */
const ROLES = ["pirate", "nurse", "jester"];
const COLLECT = { max_tokens: 8, min_count: 1, questions_per_instruction: 1 };
const N_PROMPTS = 4;
/** Nearly every reply is fully in role. */
const RULES = {
  kind: "markers",
  levels: 1,
  markers: [{ text: "e", level: 0 }],
  refusals: [],
  roles: Object.fromEntries(ROLES.map((role) => [role, { min: 0, max: 0 }])),
};

/** The embedded model's folder with that experiment. */
async function smallFolder(): Promise<FileSource> {
  const folder = await folderSource(packageFile("models/capstan-tiny"));
  const textOf = async (name: string) =>
    new TextDecoder().decode(await folder.read(name, 0, (await folder.size(name))!));
  const jsonOf = async (name: string) => JSON.parse(await textOf(name)) as object;
  const lines = (await textOf("evaluate/test.jsonl")).split("\n");
  const texts: Record<string, string> = {
    "capstan.json": JSON.stringify({
      ...(await jsonOf("capstan.json")),
      role_names: ROLES,
      collect: COLLECT,
    }),
    "judge.json": JSON.stringify(RULES),
    "evaluate/test.jsonl": lines.slice(0, N_PROMPTS).join("\n"),
  };
  for (const role of ROLES) {
    const definition = { ...(await jsonOf(`roles/${role}.json`)), eval_prompt: "{question} {answer}" };
    texts[`roles/${role}.json`] = JSON.stringify(definition);
  }
  const files = new Map(Object.entries(texts).map(([name, text]) => [name, new TextEncoder().encode(text)]));
  return {
    size: async (name) => files.get(name)?.length ?? (await folder.size(name)),
    read: async (name, start, end) =>
      files.get(name)?.slice(start, end) ?? (await folder.read(name, start, end)),
  };
}

/** Where an example names an address of the network, the stub that stands there. */
const ENDPOINT = "http://127.0.0.1:8080/v1";
const HUB_MODEL = "Qwen/Qwen3-0.6B";

const scratch = mkdtempSync(join(tmpdir(), "capstan-examples-"));
const before = process.cwd();
let scope: Record<string, unknown>;
let model: Model;
let endpoint: Awaited<ReturnType<typeof stubEndpoint>>;
let hub: Awaited<ReturnType<typeof serveHub>>;

beforeAll(async () => {
  mkdirSync(join(scratch, "begun"));
  process.chdir(join(scratch, "begun"));
  const text = (value: string) => new TextEncoder().encode(value);
  const files = { "config.json": text("{}"), "model.safetensors": text("x") };
  hub = await serveHub({ [HUB_MODEL]: { commit: "0".repeat(40), refs: {}, files } });
  vi.stubEnv("HF_ENDPOINT", hub.url);
  vi.stubEnv("HF_HOME", join(scratch, "huggingface"));
  endpoint = await stubEndpoint(() => "3");

  const source = await smallFolder();
  model = await capstan.load(source, { device: "wasm" });
  const run = await capstan.collect(model, { out: "run/" });
  const axis = await capstan.fit(run);
  await axis.save("axis.safetensors");
  const caps = capstan.cap(axis);
  await caps.save("x.cap.safetensors");
  const [script] = await capstan.readDriftScripts(model, await capstan.readRecipe(model));
  const conversation = await capstan.drift(model, { ...script!, turns: ["Hello"] }, { axis, max_tokens: 4 });
  const [response] = run.responses.values();
  scope = {
    ...(await import("../../models/index.ts")),
    ...(await import("../../core-wasm/index.ts")),
    ...safetensors,
    ...plots,
    ...capstan,
    ...{ source, model, run, axis, caps, conversation, rules: RULES },
    response: { ...response!, role: "pirate", text: "Arr." },
    readFile: (path: string | URL) => readFileSync(path),
    messages: [{ role: "user", content: "Hello" }],
    tokenizer: model.tokenizer,
    ids: model.tokenizer.encode("Hello there"),
    write: () => {},
    console: { ...console, log: () => {}, warn: () => {} },
  };
}, 120_000);

afterAll(async () => {
  process.chdir(before);
  vi.unstubAllEnvs();
  await model?.dispose();
  await hub?.[Symbol.asyncDispose]();
  await endpoint?.[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true, force: true });
});

/** An example as the body of a function: `value; // 3` holds its value to the comment where that is JSON. */
function bodyOf(code: string): string {
  const lines = code.split("\n").map((line) => {
    const [, expression, value] = /^(?!const |let |for |if |\/\/)(\S.*?);\s*\/\/ (.+)$/.exec(line) ?? [];
    return value !== undefined && isJson(value) ? `is(${expression}, ${value});` : line;
  });
  const { outputText } = ts.transpileModule(`const example = async () => {\n${lines.join("\n")}\n};`, {
    compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext },
  });
  return `${outputText.replace(/^export \{\};?$/m, "")}\nreturn example();`;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

let n_run = 0;

/** Runs an example in a folder of its own, where the small experiment has been done. Gives the number of values held. */
async function run({ code, file }: Example): Promise<number> {
  const folder = join(scratch, String(++n_run));
  cpSync(join(scratch, "begun"), folder, { recursive: true });
  symlinkSync(join(root, "conformance"), join(folder, "conformance"));
  process.chdir(folder);
  let n_held = 0;
  const is = (value: unknown, expected: unknown) => {
    n_held += 1;
    expect(value).toEqual(expected);
  };
  const own: Record<string, unknown> = await import(/* @vite-ignore */ pathToFileURL(join(root, file)).href);
  const names = { ...own, ...scope, is };
  const body = bodyOf(code.replaceAll(ENDPOINT, endpoint.url));
  await new Function(...Object.keys(names), body)(...Object.values(names));
  return n_held;
}

describe("the examples of docstrings", () => {
  it("are found", () => {
    expect(EXAMPLES.length).toBeGreaterThan(35);
    expect(EXAMPLES.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["generate", "collect", "fit", "drift"]),
    );
  });

  it("are there for every public function", () => {
    const named = new Set(EXAMPLES.map(({ name }) => name));
    const functions = [capstan, plots, safetensors].flatMap((module) =>
      Object.entries(module).flatMap(([name, value]) =>
        typeof value === "function" && /^[a-z]/.test(name) ? [name] : [],
      ),
    );
    expect(functions.length).toBeGreaterThan(30);
    expect(functions.filter((name) => !named.has(name))).toEqual([]);
  });

  it.each(EXAMPLES.map((example) => [example.name, example.file, example] as const))(
    "run: %s, %s",
    { timeout: 60_000 },
    async (_name, _file, example) => {
      await run(example);
    },
  );

  it("hold a value to the comment behind it", async () => {
    const example = { name: "x", file: "models/errors.ts" };
    expect(await run({ ...example, code: "1 + 1; // 2\nconst two = 2; // 3\n[two]; // [2]" })).toBe(2);
    await expect(run({ ...example, code: "1 + 1; // 3" })).rejects.toThrow("3");
    await expect(run({ ...example, code: "no_such_name(1);" })).rejects.toThrow("no_such_name");
  });
});
