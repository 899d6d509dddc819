import { type Command, Option } from "commander";
import { CapstanError } from "../models/index.ts";
import { type Io, verb } from "../sdk/cli/io.ts";
import { wholeNumber } from "../sdk/cli/options.ts";
import { load } from "../sdk/inference/load.ts";
import { cpu, env, joinPath, resolvePath, runtimeName } from "../sdk/platform/index.ts";
import type { Model } from "../sdk/types.ts";
import { type CapCost, measureCapCost, type Ratio } from "./cap_cost.ts";
import { type ColdStart, measureColdStart } from "./cold_start.ts";
import { measureDriftCost } from "./drift_cost.ts";
import type { BenchDtype } from "./engine.ts";
import { type EventLoop, type Lag, measureEventLoop } from "./event_loop.ts";
import { requirePeers } from "./peers.ts";
import { pickShape, SHAPE_134M, SHAPE_TINY_LLAMA, writeShape } from "./shape.ts";
import { measureSpeed, readDtypes } from "./speed.ts";
import { runWebGpuBench, type WebGpuOptions } from "./webgpu_verb.ts";

interface Options extends WebGpuOptions {
  device: string;
  peers?: boolean;
  start_up?: boolean;
  drift?: boolean;
  model?: string;
  cache?: string;
  json?: boolean;
}

const N_PROMPT = 128;
const N_DECODE = 32;
/** Tokens of the prompt that the event loop is watched over. */
const N_WATCHED = 1024;
/** Starts of each program a round: one takes a moment only, and differs much from the next. */
const STARTS_A_ROUND = 4;

export function addBench(program: Command): void {
  program
    .command("bench")
    .description(
      "how fast is it here? 134M weights in each dtype on one thread, caps, cold start; or what a GPU does",
    )
    .addOption(new Option("--device <name>", "what is measured").choices(["wasm", "webgpu"]).default("wasm"))
    .option(
      "--shape <name>",
      "134M or tiny; webgpu: 0.6B or tiny (default: 134M; webgpu: 0.6B, and tiny on a GPU in software)",
    )
    .option("--dtype <names>", "how weights are kept (default: f32,q8,q4; webgpu: f32,f16,q8,q4)")
    .option("--peers", "beside other engines with the same weights, turn by turn")
    .option("--start_up", "start-up alone: an empty process, import, the first token; no weights are written")
    .option("--drift", "what watching drift costs a server, request by request; no weights are written")
    .option(
      "--model <name>",
      "a model's folder in place of the random weights; with --drift: the chat model (default: capstan-tiny)",
    )
    .option("--rounds <n>", "rounds that are counted; medians are printed", wholeNumber, 5)
    .option("--cache <folder>", "where the random weights (540 MB) are kept (default: the user's cache)")
    .option("--json", "print one JSON object on stdout and nothing else")
    .addHelpText(
      "after",
      `
Examples:
  $ capstan bench
  $ npm install --prefix bench/peers && capstan bench --peers
  $ capstan bench --model ./SmolLM2-135M-Instruct --dtype q8,q4
  $ capstan bench --start_up
  $ capstan bench --drift
  $ capstan bench --device webgpu --dtype q4

Ratios of one run hold across machines; numbers of tokens a second do not.`,
    )
    .action(
      verb((io, options: Options) =>
        checkApart(options).device === "webgpu" ? runWebGpuBench(io, options) : run(io, options),
      ),
    );
}

/** Options that the measurement does not have would be passed over. */
function checkApart(options: Options): Options {
  const { device, start_up } = options;
  const [what, apart] =
    device === "webgpu"
      ? (["--device webgpu", ["peers", "start_up", "drift", "model", "cache"]] as const)
      : start_up === true
        ? (["--start_up", ["drift", "model", "peers", "shape", "dtype", "cache"]] as const)
        : options.drift === true
          ? (["--drift", ["peers", "shape", "dtype", "cache"]] as const)
          : options.model === undefined
            ? (["--device wasm", []] as const)
            : (["--model", ["shape", "cache"]] as const);
  const other = apart.find((name) => options[name] !== undefined);
  if (other === undefined) return options;
  const parts = { action: "bench", need: `${what} or --${other}`, found: "both" };
  throw new CapstanError("bad_request", parts);
}

async function run(io: Io, options: Options): Promise<undefined> {
  const rounds = Math.max(1, options.rounds);
  if (options.start_up === true) return await runStartUp(io, rounds);
  if (options.drift === true) return await runDrift(io, options.model ?? "capstan-tiny", rounds);
  if (options.peers === true) await requirePeers();
  const dtypes = readDtypes(options.dtype);
  const { name, folder } = await chooseFolder(io, options);
  io.progress.update("cold start of capstan-tiny");
  const cold_start = await measureColdStart(STARTS_A_ROUND * rounds, io.signal);
  io.progress.update(`a prompt of ${N_WATCHED} tokens, in a worker and on the thread`);
  const event_loop = await measureEventLoop(folder, N_WATCHED, io.signal);
  const models = new Map<BenchDtype, Model>();
  try {
    for (const dtype of dtypes) {
      io.progress.update(`loading ${dtype}`);
      // On this thread, as the peers run.
      const on_thread = { device: "wasm", n_ctx: 2048, worker: false, signal: io.signal } as const;
      models.set(dtype, await load(folder, { ...on_thread, dtype }));
    }
    const [first] = models.values();
    if (first === undefined) return;
    const machine = { runtime: runtimeName(), cpu: cpu().model };
    await io.print(`${machine.runtime}, ${machine.cpu}; ${first.device.description}; ${name}`);
    const work = { n_prompt: N_PROMPT, n_decode: N_DECODE, rounds };
    const speed = await measureSpeed(io, { models, folder, work, with_peers: options.peers === true });
    io.progress.update("caps on half the layers");
    const caps = await measureCapCost(
      first,
      { n_prefill: 8 * rounds, n_decode: Math.min(32 * rounds, 1000) },
      io.signal,
    );
    await io.print(capLine(caps));
    for (const line of coldLines(cold_start)) await io.print(line);
    await io.print(loopLine(event_loop));
    await io.result({
      shape: name,
      machine,
      device: first.device,
      work,
      ...speed,
      caps,
      cold_start,
      event_loop,
    });
  } finally {
    for (const model of models.values()) await model.dispose();
  }
}

/** The folder that is measured: a model's own, or random weights, which are written once. */
async function chooseFolder(io: Io, options: Options): Promise<{ name: string; folder: string }> {
  if (options.model !== undefined) return { name: options.model, folder: resolvePath(options.model) };
  const shape = pickShape("WASM", [SHAPE_134M, SHAPE_TINY_LLAMA], options.shape ?? SHAPE_134M.name);
  const folder = resolvePath(options.cache ?? cacheFolder(), `bench-${shape.name}`);
  const writing = (done: number, total: number) =>
    io.progress.update(`writing random weights ${done} of ${total}`);
  await writeShape(shape, folder, writing, io.signal);
  return { name: shape.name, folder };
}

async function runStartUp(io: Io, rounds: number): Promise<undefined> {
  io.progress.update("cold start of capstan-tiny");
  const cold_start = await measureColdStart(STARTS_A_ROUND * rounds, io.signal);
  const machine = { runtime: runtimeName(), cpu: cpu().model };
  await io.print(`${machine.runtime}, ${machine.cpu}`);
  for (const line of coldLines(cold_start)) await io.print(line);
  await io.result({ machine, cold_start });
}

/** Turns of the conversation that drift is watched over. */
const N_TURNS = 6;

async function runDrift(io: Io, name: string, rounds: number): Promise<undefined> {
  io.progress.update(`loading ${name}`);
  await using model = await load(name, { device: "wasm", signal: io.signal });
  io.progress.update(`a conversation of ${N_TURNS} turns, ${rounds + 1} times`);
  const cost = await measureDriftCost(model, { rounds, turns: N_TURNS }, io.signal);
  const { n_prompt, n_reply, plain_ms, watched_ms, apart_ms } = cost;
  const beyond = (ms: number) => `${ms.toFixed(1)} ms (${(100 * (ms / plain_ms - 1)).toFixed(1)} % more)`;
  await io.print(
    `a request of a conversation of up to ${n_prompt} tokens, ${n_reply} more generated, medians turn by turn:`,
  );
  await io.print(`  drift not watched: ${plain_ms.toFixed(1)} ms`);
  await io.print(`  watched as the prompt is read: ${beyond(watched_ms)}`);
  await io.print(`  watched by a pass apart: ${beyond(apart_ms)}`);
  await io.result({
    model: model.id,
    machine: { runtime: runtimeName(), cpu: cpu().model },
    rounds,
    ...cost,
  });
}

/** A user's cache as the XDG rules have it. */
function cacheFolder(): string {
  return joinPath(env("XDG_CACHE_HOME") ?? joinPath(env("HOME") ?? ".", ".cache"), "capstan");
}

function capLine({ layers, prefill, decode }: CapCost): string {
  const percent = (ratio: number) => ((ratio - 1) * 100).toFixed(2);
  const cost = ({ median, low, high }: Ratio) => `${percent(median)} % (${percent(low)} to ${percent(high)})`;
  return `caps on ${layers} layers cost ${cost(prefill)} of prefill, ${cost(decode)} of decode`;
}

function coldLines(found: ColdStart): string[] {
  const ms = (value: number) => `${value.toFixed(0)} ms`;
  return [
    `from process start, medians of ${found.runs}, turn by turn with an empty process (${ms(found.empty_ms)}):`,
    `  import "capstan": ${ms(found.import_beyond_empty_ms)} beyond the empty one`,
    `  capstan-tiny: first token ${ms(found.first_token_ms)}, end ${ms(found.process_ms)}`,
  ];
}

function loopLine({ n_prompt, idle, in_worker, on_thread, no_worker }: EventLoop): string {
  const lag = ({ p99, max }: Lag) => `p99 ${p99.toFixed(1)} ms, at most ${max.toFixed(0)} ms`;
  const there = no_worker === null ? "in a worker" : "without the worker that it was to have";
  return `event loop's lag while ${n_prompt} tokens are read: ${lag(in_worker)} ${there}; ${lag(on_thread)} on the thread; idle: ${lag(idle)}`;
}
