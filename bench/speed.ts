import { CapstanError, show } from "../models/index.ts";
import type { Io } from "../sdk/cli/io.ts";
import type { Model } from "../sdk/types.ts";
import { BENCH_DTYPES, type BenchDtype, type BenchEngine, ourEngine } from "./engine.ts";
import { type Measured, measure, type Rate } from "./measure.ts";
import { openPeers } from "./peers.ts";

/** Prefill and decode of our engine and of others, in each dtype, turn by turn in one run. */

/**
 * The dtypes of a list with commas; all where none is given.
 *
 * @throws CapstanError `bad_request` naming the one that is not known
 */
export function readDtypes(text: string | undefined): BenchDtype[] {
  if (text === undefined) return [...BENCH_DTYPES];
  return [...new Set(text.split(","))].map((name) => {
    const found = BENCH_DTYPES.find((dtype) => dtype === name.trim());
    if (found !== undefined) return found;
    const need = `dtype ${BENCH_DTYPES.join(" or ")}`;
    throw new CapstanError("bad_request", { action: "bench WASM", need, found: show(name) });
  });
}

/** What is timed: the models by dtype, and the folder that peers load. */
export interface SpeedOptions {
  models: ReadonlyMap<BenchDtype, Model>;
  folder: string;
  work: { n_prompt: number; n_decode: number; rounds: number };
  with_peers: boolean;
}

export async function measureSpeed(io: Io, { models, folder, work, with_peers }: SpeedOptions) {
  const engines: BenchEngine[] = [];
  let d_vocab = Number.POSITIVE_INFINITY;
  for (const [dtype, model] of models) {
    engines.push(await ourEngine("capstan", dtype, model));
    d_vocab = Math.min(d_vocab, model.spec.d_vocab);
    io.progress.update(`loading ${dtype} in other engines`);
    if (with_peers) engines.push(...(await openPeers(folder, dtype)));
  }
  const on_round = (round: number, engine: string) =>
    io.progress.update(`round ${round} of ${work.rounds}: ${engine}`);
  try {
    const measured = await measure(engines, { ...work, d_vocab }, on_round, io.signal);
    const summaries = summarize(measured);
    await printSpeeds(io, summaries, with_peers);
    return { engines: summaries };
  } finally {
    for (const engine of engines) await engine.dispose();
  }
}

/** Speeds with what our engine is to each of its dtype: ratios of medians of one run, and the distance of the logits. */
function summarize({ speeds, logits_error }: Measured) {
  const over = (a: Rate, b: Rate): Rate => ({ prefill: a.prefill / b.prefill, decode: a.decode / b.decode });
  return speeds.map((speed, e) => {
    const ours = speeds.find(({ dtype }) => dtype === speed.dtype) ?? speed;
    return {
      ...speed,
      capstan_over_it: over(ours.tok_s, speed.tok_s),
      capstan_over_it_by_cpu: over(ours.tok_cpu_s, speed.tok_cpu_s),
      logits_relative_error: logits_error[e] ?? null,
    };
  });
}

type Summary = ReturnType<typeof summarize>[number];

const NAME_WIDTH = 44;

async function printSpeeds(io: Io, summaries: readonly Summary[], with_peers: boolean): Promise<void> {
  const heads = ["prefill", "decode", "prefill", "decode"].map((text) => text.padStart(10)).join("");
  const clocks = `${"tokens a second".padStart(20)}${"a processor second".padStart(20)}`;
  await io.print(`\n${"".padEnd(NAME_WIDTH)}${clocks}`);
  await io.print(`${"".padEnd(NAME_WIDTH)}${heads}${with_peers ? "  capstan is faster by" : ""}`);
  for (const summary of summaries) await io.print(speedLine(summary));
  await io.print();
}

function speedLine(summary: Summary): string {
  const numbers = [summary.tok_s, summary.tok_cpu_s]
    .flatMap(({ prefill, decode }) => [prefill, decode])
    .map((x) => x.toFixed(1).padStart(10))
    .join("");
  const name = `${summary.dtype.padEnd(4)}${summary.name}`.padEnd(NAME_WIDTH);
  return `${name}${numbers}${summary.name === "capstan" ? "" : ratios(summary)}`;
}

function ratios(summary: Summary): string {
  const of = ({ prefill, decode }: Rate) => `${prefill.toFixed(2)} / ${decode.toFixed(2)}`;
  const error = summary.logits_relative_error;
  const logits = error === null ? "" : `; logits differ by ${error.toExponential(1)}`;
  return `  ${of(summary.capstan_over_it)} (by processor time ${of(summary.capstan_over_it_by_cpu)})${logits}`;
}
