import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CONTRACT } from "../../conformance/contract/index.ts";
import { onlyOf } from "../../models/certain.ts";
import type { Part } from "../parts.ts";
import type { ChildRuntime, TestRuntime } from "../runtimes/runtimes.ts";
import type { TaskResult } from "../runtimes/tasks.ts";

/** A runtime as the table sees it. */
export interface Column {
  name: string;
  /** What it needs beyond npm. */
  part: Part | null;
  /** What its WebGPU needs; null where it has none. */
  gpu_part: Part | null;
  /** With a command line, where it is a process. */
  open(): Promise<{ runtime: TestRuntime & Partial<Pick<ChildRuntime, "capstan">>; origin: string | null }>;
}

export type Opened = Awaited<ReturnType<Column["open"]>>;

/** A feature, and what a cell says of it. */
export interface Row {
  name: string;
  needs_gpu?: true;
  cell(opened: Opened, node: TaskResult<"verbs">): Promise<string>;
}

/** Of every kind one; the conformance command runs all of them in each runtime but Bun. */
export const SAMPLE = [
  "arcee",
  "gemma2-4x",
  "gpt-neox-sequential",
  "llama-f16",
  "mixtral",
  "phi3-window",
  "qwen3-tied",
];

const source = ({ origin }: Opened) => (origin === null ? "capstan-tiny" : `${origin}/models/capstan-tiny`);
const caseOf = ({ origin }: Opened, name: string) =>
  `${origin === null ? "" : `${origin}/`}conformance/reference/${name}`;

const yes = (found: boolean): string => (found ? "yes" : "no");

async function tried(work: () => Promise<string>): Promise<string> {
  try {
    return await work();
  } catch (error) {
    const need = /need (.*?), found/.exec(String(error))?.[1];
    return need === undefined ? `no: ${String(error).split("\n")[0]}` : `no: needs ${need}`;
  }
}

export const ROWS: readonly Row[] = [
  {
    name: "`load`, `collect`, `fit`, `cap`, `generate`, `forward` on WASM: the numbers of Node, bit for bit",
    cell: (opened, node) =>
      tried(async () => {
        const { device: _, ...here } = await opened.runtime.run("verbs", {
          device: "wasm",
          source: source(opened),
        });
        const { device: __, ...there } = node;
        return yes(JSON.stringify(here) === JSON.stringify(there));
      }),
  },
  {
    name: `reference cases on WASM (${SAMPLE.length} of them)`,
    cell: (opened) =>
      tried(async () => {
        const sources = SAMPLE.map((name) => caseOf(opened, name));
        const reports = await opened.runtime.run("cases", { device: "wasm", dtype: "f32", sources });
        return `${reports.filter((report) => "passed" in report && report.passed).length} of ${SAMPLE.length}`;
      }),
  },
  {
    name: `device contract on WASM (${CONTRACT.length} claims)`,
    cell: (opened) =>
      tried(async () => {
        const names = CONTRACT.map(({ name }) => name);
        // Processes begin slowly; a server's requests are short.
        const calls = opened.origin === null ? [names] : names.map((name) => [name]);
        let held = 0;
        for (const only of calls) {
          const { errors } = await opened.runtime.run("contract", { device: "wasm", only });
          held += Object.values(errors).filter((error) => error === null).length;
        }
        return `${held} of ${CONTRACT.length}`;
      }),
  },
  {
    name: '`load("capstan-tiny")`: the embedded model by its name',
    cell: ({ runtime }) =>
      tried(async () =>
        yes((await runtime.run("verbs", { device: "wasm", source: "capstan-tiny" })).id === "capstan-tiny"),
      ),
  },
  {
    name: "files: `axis.save`, run folders, the cache of pulled models",
    cell: async (opened) => {
      const folder = mkdtempSync(join(tmpdir(), "capstan-table-"));
      const args = {
        device: "wasm",
        source: source(opened),
        save: join(folder, "axis.safetensors"),
      } as const;
      const { save_error } = await opened.runtime.run("verbs", args);
      rmSync(folder, { recursive: true });
      return tried(async () => {
        if (save_error !== null) throw new Error(save_error);
        return "yes";
      });
    },
  },
  {
    name: "the command: `generate`, `collect`, `fit`, `cap`, `project`, `conformance`, `doctor`",
    cell: async ({ runtime: { capstan } }) =>
      capstan === undefined ? "no" : tried(() => commandLine(capstan)),
  },
  {
    name: "relaxed SIMD",
    cell: async ({ runtime }) => yes((await runtime.run("features", {})).wasm.relaxed_simd),
  },
  {
    name: "WebGPU: a reference case in f32 (adapters in software)",
    needs_gpu: true,
    cell: (opened) =>
      tried(async () => {
        const sources = [caseOf(opened, "phi")];
        const report = onlyOf(await opened.runtime.run("cases", { device: "webgpu", dtype: "f32", sources }));
        if ("error" in report) throw new Error(report.error);
        return yes(report.passed);
      }),
  },
];

/** A small experiment by the command line. */
async function commandLine(capstan: ChildRuntime["capstan"]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "capstan-table-"));
  const at = (name: string) => join(folder, name);
  const messages = at("chat.json");
  writeFileSync(
    messages,
    JSON.stringify([
      { role: "user", content: "Who are you?" },
      { role: "assistant", content: "I am a pirate." },
    ]),
  );
  try {
    await capstan("generate", "--prompt", "Hello", "--max_tokens", "4", "--device", "wasm", "--json");
    await capstan(
      "collect",
      "--limit",
      "4",
      "--max_tokens",
      "32",
      "--out",
      at("run"),
      "--device",
      "wasm",
      "--json",
    );
    await capstan("fit", at("run"), "--min_count", "1", "--out", at("axis.safetensors"), "--json");
    await capstan("cap", at("axis.safetensors"), "--out", at("cap.safetensors"), "--json");
    await capstan("project", messages, "--axis", at("axis.safetensors"), "--device", "wasm", "--json");
    await capstan("conformance", "conformance/reference/phi", "--device", "wasm", "--json");
    await capstan("doctor", "--json");
    return "yes";
  } finally {
    rmSync(folder, { recursive: true });
  }
}
