import { openWebGpu } from "../gpu/index.ts";
import { CapstanError, type StoredDtype, show } from "../models/index.ts";
import type { Io } from "../sdk/cli/io.ts";
import { cpu, runtimeName } from "../sdk/platform/index.ts";
import { requireWebGpu } from "../sdk/platform/webgpu.ts";
import { pickShape, SHAPE_0_6B, SHAPE_TINY } from "./shape.ts";
import { benchWebGpu, type DtypeReport, type KernelTime, type WebGpuLoad } from "./webgpu.ts";

export interface WebGpuOptions {
  rounds: number;
  shape?: string;
  dtype?: string;
}

const SHAPES = [SHAPE_TINY, SHAPE_0_6B];
const DTYPES: readonly StoredDtype[] = ["f32", "f16", "q8", "q4"];

/** How a run goes on a real GPU, and on one in software, where only the counts mean something. */
const LOADS = {
  hardware: { n_prompt: 512, n_decode: 128, probe: { bytes: 2 ** 28, repeats: 64 } },
  software: { n_prompt: 32, n_decode: 8, probe: { bytes: 2 ** 26, repeats: 4 } },
} as const;

/** `capstan bench --device webgpu`. */
export async function runWebGpuBench(io: Io, options: WebGpuOptions): Promise<undefined> {
  const device = await openWebGpu(await requireWebGpu("bench WebGPU"));
  try {
    const { adapter, description } = device;
    const { probe, ...lengths } = LOADS[adapter.software ? "software" : "hardware"];
    const load: WebGpuLoad = {
      ...lengths,
      probe: { ...probe, bytes: Math.min(probe.bytes, 256 * Math.floor(adapter.limits.binding_bytes / 256)) },
      shape: pickShape("WebGPU", SHAPES, options.shape ?? (adapter.software ? "tiny" : "0.6B")),
      dtypes: options.dtype?.split(",").map(pickDtype) ?? DTYPES,
      rounds: Math.max(1, options.rounds),
    };
    const machine = { runtime: runtimeName(), cpu: cpu().model };
    await io.print(`${machine.runtime}; ${description}`);
    await io.print(loadLine(load));
    if (adapter.software) {
      await io.print("A GPU in software: counts are those of any GPU, speeds say nothing about one.");
    }
    const reports = await benchWebGpu(device, load, (doing) => io.progress.update(doing), io.signal);
    await printReports(io, reports);
    const { shape, dtypes: _, ...work } = load;
    await io.result({ shape: shape.name, machine, adapter, work, dtypes: reports });
  } finally {
    await device.dispose();
  }
}

function pickDtype(name: string): StoredDtype {
  const found = DTYPES.find((dtype) => dtype === name);
  if (found !== undefined) return found;
  const need = `dtype ${DTYPES.join(" or ")}`;
  throw new CapstanError("bad_request", { action: "bench WebGPU", need, found: show(name) });
}

function loadLine({ shape, n_prompt, n_decode, rounds }: WebGpuLoad): string {
  return `shape ${shape.name}; prompt ${n_prompt}, then ${n_decode} tokens; medians of ${rounds} rounds`;
}

/** Of a column, in characters. */
const WIDTH = 16;

async function printReports(io: Io, reports: readonly DtypeReport[]): Promise<void> {
  const heads = ["weights", "prefill", "decode", "weights read", "of reads", "in kernels", "a copy"];
  const units = ["MB", "tok/s", "tok/s", "GB/s", "at GB/s", "alone", "GB/s"];
  await io.print(`\n      ${heads.map((text) => text.padStart(WIDTH)).join("")}`);
  await io.print(`      ${units.map((text) => text.padStart(WIDTH)).join("")}`);
  for (const report of reports) await io.print(speedLine(report));
  await io.print(`\na token:`);
  for (const report of reports) await io.print(countLine(report));
  for (const { dtype, kernels } of reports) {
    if (kernels === null) continue;
    await io.print(`\nkernels, ${dtype}: µs by timestamps, and their share`);
    await io.print(kernelLine("decode", kernels.decode));
    await io.print(kernelLine("with caps", kernels.decode_with_caps));
    await io.print(kernelLine("prefill", kernels.prefill));
  }
}

function speedLine(report: DtypeReport): string {
  const { dtype, weight_bytes, prefill_tok_s, decode_tok_s, bandwidth, fraction_of_bandwidth } = report;
  const percent = (fraction: number) => `${(100 * fraction).toFixed(1)} %`;
  const numbers = [
    (weight_bytes / 1e6).toFixed(1),
    prefill_tok_s.toFixed(1),
    decode_tok_s.toFixed(1),
    ((weight_bytes * decode_tok_s) / 1e9).toFixed(2),
    `${percent(fraction_of_bandwidth)} of ${(bandwidth.read / 1e9).toFixed(1)}`,
    report.fraction_in_kernels === null ? "" : percent(report.fraction_in_kernels),
    (bandwidth.copy / 1e9).toFixed(1),
  ];
  return `${dtype.padEnd(6)}${numbers.map((text) => text.padStart(WIDTH)).join("")}`;
}

function countLine({ dtype, per_token, caps }: DtypeReport): string {
  const { dispatches, submits, writes, readbacks, readback_bytes } = per_token;
  const counts = `${dispatches} dispatches, ${submits} submit, ${writes} write, ${readbacks} readback of ${readback_bytes} bytes`;
  const percent = (ratio: number) => `${(100 * (ratio - 1)).toFixed(1)} %`;
  const { median, low, high } = caps.time;
  const cost = `${caps.dispatches} dispatches and ${percent(median)} (${percent(low)} to ${percent(high)})`;
  return `${dtype.padEnd(6)}${counts}; caps on ${caps.layers} layers cost ${cost}`;
}

function kernelLine(what: string, kernels: readonly KernelTime[]): string {
  const all = kernels.reduce((sum, { microseconds }) => sum + microseconds, 0);
  const parts = kernels.map(({ name, count, microseconds }) => {
    return `${count} ${name} ${microseconds.toFixed(0)} (${((100 * microseconds) / all).toFixed(0)} %)`;
  });
  return `  ${what.padEnd(10)}${all.toFixed(0)}: ${parts.join(", ")}`;
}
