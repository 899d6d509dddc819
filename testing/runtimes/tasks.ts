import type { FidelityDtype } from "../../conformance/bounds.ts";
import { checkCase } from "../../conformance/check/index.ts";
import type { CaseReport } from "../../conformance/check/report.ts";
import { CONTRACT, runCheck } from "../../conformance/contract/index.ts";
import { creator, keptDevice } from "../../conformance/devices.ts";
import {
  type TaskArgs as Args,
  type TaskResult as Result,
  runTaskText,
} from "../../conformance/hosts/task.ts";
import { shareOf } from "../../conformance/share.ts";
import { wasmFeatures } from "../../core-wasm/index.ts";
import { CapstanError } from "../../models/index.ts";
import { cap, collect, evaluate, fit, generate, load } from "../../sdk/index.ts";
import { runtimeName } from "../../sdk/platform/index.ts";
import type { LoadOptions } from "../../sdk/types.ts";
import { type SoakReport, soak } from "../soak/soak.ts";
import { counts } from "./counts.ts";
import { faults } from "./faults.ts";
import { records } from "./records.ts";
import { reply } from "./reply.ts";

/**
 * What the proof runs in runtimes beside the one that asks: each task takes and gives plain JSON, so that it runs
 * the same in a child process, a page and a Worker.
 */
export const TASKS = {
  contract,
  cases,
  counts,
  faults,
  features,
  lost,
  records,
  reply,
  soak: gpuSoak,
  verbs,
};

export type TaskName = keyof typeof TASKS;
export type TaskArgs<Name extends TaskName> = Args<typeof TASKS, Name>;
export type TaskResult<Name extends TaskName> = Result<typeof TASKS, Name>;

/** Runs a task here: its text and its answer's are those of `conformance/hosts/task.ts`. */
export function run(task: string): Promise<string> {
  return runTaskText(TASKS, task);
}

/** What the runtime is, and what of WebAssembly it has. */
async function features(
  _: Record<never, never>,
): Promise<{ runtime: string; wasm: ReturnType<typeof wasmFeatures> }> {
  return { runtime: runtimeName(), wasm: wasmFeatures() };
}

/** Runs a model in a worker until that is gone: the code of the error, and of a call after it. */
async function lost(args: { source: string }): Promise<{ description: string; code: string; later: string }> {
  const model = await load(args.source, { device: "wasm", worker: true });
  (globalThis as { running?: boolean }).running = true;
  const codeOf = (error: unknown) => (error instanceof CapstanError ? error.code : String(error));
  const run = async (): Promise<string> => {
    try {
      for (;;) await model.forward(new Array(300).fill(5));
    } catch (error) {
      return codeOf(error);
    }
  };
  const code = await run();
  const later = await run();
  await model.dispose();
  return { description: model.device.description, code, later };
}

/** Callers at once on WebGPU, on a model that is short of memory. */
async function gpuSoak({ count }: { count: number }): Promise<SoakReport> {
  return await soak({
    count,
    concurrency: 24,
    seed: 1,
    source: "conformance/reference/llama-gqa-untied",
    blocks: 30,
    makeDevice: creator("webgpu"),
    same_bits: false,
  });
}

/** Runs the device contract: what each check says, null where it holds. */
async function contract(args: {
  device: string;
  /** Names of checks. */
  only: readonly string[];
}): Promise<{ description: string; errors: Record<string, string | null> }> {
  const device = await keptDevice(args.device);
  const errors: Record<string, string | null> = {};
  for (const check of CONTRACT) {
    if (!args.only.includes(check.name)) continue;
    errors[check.name] = await runCheck(check, device, creator(args.device)).then(() => null, String);
  }
  return { description: device.description, errors };
}

/** Checks reference cases: a report of each, or the error that kept it from being one. */
async function cases(args: {
  device: string;
  dtype: FidelityDtype;
  /** Folders or URLs. */
  sources: readonly string[];
}): Promise<(CaseReport | { error: string })[]> {
  const device = await keptDevice(args.device);
  const options = { device: async () => shareOf(device), dtype: args.dtype };
  const reports: (CaseReport | { error: string })[] = [];
  for (const source of args.sources) {
    reports.push(await checkCase(source, options).catch((error: unknown) => ({ error: String(error) })));
  }
  return reports;
}

/** The SDK's verbs by its public API, in memory, small; and what fails where there are no files. */
async function verbs(args: {
  device: NonNullable<LoadOptions["device"]>;
  source: string;
  /** As `load` has it. */
  worker?: boolean;
  /** Where to save the axis at last. Default: nowhere. */
  save?: string;
}): Promise<{
  device: { kind: string; description: string };
  /** What was odd about the load. */
  warnings: readonly string[];
  id: string;
  axis_norm: number;
  text: string;
  projections: number[];
  /** Logits of the last token. */
  logits: number[];
  /** By suite: how many passed, uncapped and capped. */
  rates: Record<string, (number | undefined)[]>;
  /** The error of saving it; null where there was none. */
  save_error: string | null;
}> {
  const { device, worker } = args;
  const model = await load(args.source, { device, ...(worker === undefined ? {} : { worker }) });
  try {
    const run = await collect(model, {
      roles: {
        default: { instruction: [{ pos: "" }] },
        pirate: { instruction: [{ pos: "You are a pirate." }] },
        wizard: { instruction: [{ pos: "You are a wizard." }] },
      },
      questions: ["What is the sea?", "What is 2 + 3?"],
      judge: () => 3,
      temperature: 0,
      max_tokens: 8,
    });
    const axis = await fit(run, { min_count: 2, controls: { n: 1, seed: 0 } });
    const caps = cap(axis, { layers: { start: 2, end: 4 }, percentile: 50 });
    const hooks = [...caps.hooks, ...axis.probes()];
    const prompt = [{ role: "user", content: "Who are you?" }];
    const reply = await generate(model, prompt, { hooks, temperature: 0, max_tokens: 12 }).result;
    const { logits } = await model.forward(reply.tokens, { logits: "last" });
    const check = [
      { kind: "regex" as const, pattern: "\\w+" },
      { kind: "not_contains" as const, value: "zebra" },
    ];
    const suites = [{ id: "sea", suite: "own", messages: prompt, max_tokens: 8, check }];
    const evaluation = await evaluate(model, { suites, axis, caps, controls: 0 });
    const site = axis.target_layer;
    return {
      device: model.device,
      warnings: model.warnings,
      id: model.id,
      rates: Object.fromEntries(
        Object.entries(evaluation.suites).map(([suite, { uncapped, capped }]) => {
          return [suite, [uncapped.rate, capped?.rate]];
        }),
      ),
      axis_norm: axis.layer(site).reduce((sum, x) => sum + x * x, 0) ** 0.5,
      text: reply.text,
      projections: Object.values(reply.projections).flatMap((values) => Array.from(values)),
      logits: Array.from(logits),
      save_error: args.save === undefined ? null : await axis.save(args.save).then(() => null, String),
    };
  } finally {
    await model.dispose();
  }
}
