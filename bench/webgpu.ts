import { stepEntry } from "../conformance/contract/entry.ts";
import { GREEDY } from "../conformance/contract/params.ts";
import { Random } from "../conformance/contract/random.ts";
import { shareOf } from "../conformance/share.ts";
import type { StageTime, WebGpuDevice, WebGpuModel } from "../gpu/index.ts";
import { entryOf, itemAt, present } from "../models/certain.ts";
import { type Hook, planHooks, type StepEntry, type StoredDtype } from "../models/index.ts";
import { generate } from "../sdk/index.ts";
import { loadOn } from "../sdk/inference/load.ts";
import type { Model } from "../sdk/types.ts";
import { type Bandwidth, BandwidthProbe } from "./bandwidth.ts";
import { capsOnHalf } from "./cap_cost.ts";
import { median, medianRange } from "./measure.ts";
import { randomFolder } from "./random_folder.ts";
import type { Shape } from "./shape.ts";

export interface WebGpuLoad {
  /** With tied embeddings, so that a token reads every weight once. */
  shape: Shape;
  dtypes: readonly StoredDtype[];
  n_prompt: number;
  n_decode: number;
  rounds: number;
  /** Bytes that the bandwidth is measured over, and how often in one measurement. */
  probe: { bytes: number; repeats: number };
}

/** Time of all stages of one name in a step. */
export interface KernelTime {
  name: string;
  /** Stages of that name. */
  count: number;
  microseconds: number;
}

/** What one dtype does; medians of the rounds. */
export interface DtypeReport {
  dtype: StoredDtype;
  /** What a token reads of weights at least; keys and values come on top. */
  weight_bytes: number;
  prefill_tok_s: number;
  decode_tok_s: number;
  bandwidth: Bandwidth;
  /** Weight bytes a second in decode over the read bandwidth of the same rounds. */
  fraction_of_bandwidth: number;
  /** The same over the sum of the kernels' times: what is left once dispatches cost nothing. */
  fraction_in_kernels: number | null;
  per_token: {
    dispatches: number;
    submits: number;
    writes: number;
    readbacks: number;
    readback_bytes: number;
  };
  /** Caps on half the layers: dispatches they add to a token, and the ratio of times. */
  caps: { layers: number; dispatches: number; time: ReturnType<typeof medianRange> };
  /** By timestamps; null where the adapter has none. */
  kernels: { decode: KernelTime[]; decode_with_caps: KernelTime[]; prefill: KernelTime[] } | null;
}

/** Measures dtype after dtype; within one, bandwidth, prefill, decode and decode with caps turn by turn. */
export async function benchWebGpu(
  device: WebGpuDevice,
  load: WebGpuLoad,
  on_progress: (doing: string) => void,
  signal: AbortSignal,
): Promise<DtypeReport[]> {
  const reports: DtypeReport[] = [];
  const probe = new BandwidthProbe(device.gpu_device, load.probe.bytes, load.probe.repeats);
  try {
    for (const dtype of load.dtypes) {
      on_progress(`loading ${dtype}`);
      let made: WebGpuModel | undefined;
      const share = shareOf(device, (model: WebGpuModel) => {
        made = model;
      });
      const options = { dtype: dtype === "bf16" ? "auto" : dtype, signal } as const;
      const model = await loadOn(randomFolder(load.shape), options, async () => share);
      try {
        reports.push(
          await benchDtype({
            device,
            probe,
            model,
            made: present(made, "a model of the device"),
            dtype,
            load,
            on_progress,
            signal,
          }),
        );
      } finally {
        await model.dispose();
      }
    }
    return reports;
  } finally {
    probe.dispose();
  }
}

interface Bench {
  device: WebGpuDevice;
  probe: BandwidthProbe;
  model: Model;
  made: WebGpuModel;
  dtype: StoredDtype;
  load: WebGpuLoad;
  on_progress: (doing: string) => void;
  signal: AbortSignal;
}

async function benchDtype(bench: Bench): Promise<DtypeReport> {
  const { device, model, made, dtype, load } = bench;
  const hooks = capsOnHalf(model);
  const rounds = await runRounds(bench, hooks);
  const kernels = device.adapter.features.timestamps ? await kernelTimes(bench, hooks) : null;
  const { weight_bytes } = made.memory;
  const { n_prompt } = load;
  return { dtype, ...figuresOf(rounds, kernels, { weight_bytes, n_prompt, n_capped: hooks.length }) };
}

/** What the rounds of a dtype come to. */
export function figuresOf(
  { bandwidths, prefills, plain, capped }: Rounds,
  kernels: DtypeReport["kernels"],
  { weight_bytes, n_prompt, n_capped }: { weight_bytes: number; n_prompt: number; n_capped: number },
): Omit<DtypeReport, "dtype"> {
  const read = median(bandwidths.map((one) => one.read));
  const decode_tok_s = 1 / median(plain.map(({ seconds }) => seconds));
  const { per_token } = itemAt(plain, 0);
  const in_kernels = kernels?.decode.reduce((sum, { microseconds }) => sum + microseconds / 1e6, 0);
  return {
    weight_bytes,
    prefill_tok_s: n_prompt / median(prefills),
    decode_tok_s,
    bandwidth: { read, copy: median(bandwidths.map((one) => one.copy)) },
    fraction_of_bandwidth: (weight_bytes * decode_tok_s) / read,
    fraction_in_kernels: in_kernels === undefined ? null : weight_bytes / in_kernels / read,
    per_token,
    caps: {
      layers: n_capped,
      dispatches: itemAt(capped, 0).per_token.dispatches - per_token.dispatches,
      time: medianRange(capped.map(({ seconds }, i) => seconds / itemAt(plain, i).seconds)),
    },
    kernels,
  };
}

/** What each counted round gave; bandwidths in bytes a second, prefills in seconds. */
export interface Rounds {
  bandwidths: Bandwidth[];
  prefills: number[];
  plain: Decoded[];
  capped: Decoded[];
}

function noRounds(): Rounds {
  return { bandwidths: [], prefills: [], plain: [], capped: [] };
}

/** The first round makes what later ones find made: it is not counted. Which decode goes first alternates. */
async function runRounds(bench: Bench, hooks: readonly Hook[]): Promise<Rounds> {
  const { probe, model, dtype, load, on_progress, signal } = bench;
  const rounds = noRounds();
  for (let round = 0; round <= load.rounds; round++) {
    signal.throwIfAborted();
    on_progress(`${dtype}, round ${round} of ${load.rounds}`);
    const prompt = new Random(round).tokens(load.n_prompt, model.spec.d_vocab);
    const into = round === 0 ? noRounds() : rounds;
    into.bandwidths.push(await probe.measure());
    into.prefills.push(await secondsOf(() => model.forward(prompt, { logits: "last", signal })));
    const turns = ["plain", "capped"] as const;
    for (const turn of round % 2 === 0 ? turns : turns.toReversed()) {
      into[turn].push(await decode(bench, prompt, turn === "plain" ? [] : hooks));
    }
  }
  return rounds;
}

/** Seconds a token and what was done for one. */
export interface Decoded {
  seconds: number;
  per_token: DtypeReport["per_token"];
}

/** A reply, as a caller gets it: timed from its first token to its last. */
async function decode(
  { device, model, load, signal }: Bench,
  prompt: Int32Array,
  hooks: readonly Hook[],
): Promise<Decoded> {
  const before = { ...device.counters };
  const max_tokens = load.n_decode + 1;
  let first = 0;
  for await (const _ of generate(model, prompt, { temperature: 0, max_tokens, hooks, signal })) {
    first ||= performance.now();
  }
  const seconds = (performance.now() - first) / 1000 / load.n_decode;
  const each = (name: keyof Decoded["per_token"]) => (device.counters[name] - before[name]) / max_tokens;
  const [dispatches, submits, writes] = [each("dispatches"), each("submits"), each("writes")];
  const [readbacks, readback_bytes] = [each("readbacks"), each("readback_bytes")];
  return { seconds, per_token: { dispatches, submits, writes, readbacks, readback_bytes } };
}

const PROFILES = 3;

/** Kernels of a token after the prompt, without and with caps, and of the prompt. */
async function kernelTimes(
  { made, model, load }: Bench,
  hooks: readonly Hook[],
): Promise<NonNullable<DtypeReport["kernels"]>> {
  const blocks = await made.allocBlocks(Math.ceil((load.n_prompt + 1) / made.block_size));
  const set = made.addHooks(planHooks(model.spec, hooks).hooks);
  const prompt = new Random(0).tokens(load.n_prompt, model.spec.d_vocab);
  const wants = { sample: GREEDY, logits: "none" } as const;
  const entry = stepEntry({ tokens: prompt, blocks: Int32Array.from(blocks), ...wants });
  const token = { ...entry, tokens: Int32Array.of(1), position: load.n_prompt };
  try {
    const prefill = await profile(made, entry);
    const decode = await profile(made, token);
    return { decode, decode_with_caps: await profile(made, { ...token, hooks: set }), prefill };
  } finally {
    made.freeHooks(set);
    made.freeBlocks(blocks);
  }
}

async function profile(made: WebGpuModel, entry: StepEntry): Promise<KernelTime[]> {
  await made.profile([entry]);
  const runs: Map<string, StageTime[]>[] = [];
  for (let n = 0; n < PROFILES; n++) {
    const by_name = new Map<string, StageTime[]>();
    for (const time of await made.profile([entry])) {
      by_name.set(time.name, [...(by_name.get(time.name) ?? []), time]);
    }
    runs.push(by_name);
  }
  const total = (times: readonly StageTime[]) =>
    times.reduce((sum, time) => sum + time.nanoseconds, 0) / 1000;
  return [...itemAt(runs, 0)]
    .map(([name, { length: count }]) => {
      return { name, count, microseconds: median(runs.map((run) => total(entryOf(run, name)))) };
    })
    .sort((a, b) => b.microseconds - a.microseconds);
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}
