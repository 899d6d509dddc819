import { itemAt, onlyOf } from "../../models/certain.ts";
import {
  buildProgram,
  type Device,
  type DeviceHook,
  type DeviceModel,
  type Hook,
  isQuantised,
  type Program,
  planHooks,
  ropeLengths,
  type SampleParams,
  type SiteId,
  type StepEntry,
  type StepResult,
} from "../../models/index.ts";
import type { FidelityDtype } from "../bounds.ts";
import { createTruthDevice } from "../truth/index.ts";
import { compareResults } from "./compare.ts";
import { stepEntry } from "./entry.ts";
import type { Tiny } from "./tiny.ts";

/** An id on the device under test and what it is on the truth. */
export interface TwinId {
  device: number;
  truth: number;
}

export interface TwinHooks extends TwinId {
  hooks: readonly DeviceHook[];
}

export interface TwinAccumulator extends TwinId {
  sites: readonly SiteId[];
}

/** A sequence on both: its tokens so far and its two block tables. */
export interface TwinSequence {
  n_tokens: number;
  device: number[];
  truth: number[];
}

/** A `StepEntry` in terms of both devices, with defaults for what a check does not care about. */
export interface Ask {
  sequence: TwinSequence;
  tokens: ArrayLike<number>;
  /** Of the call of each token. Default, where ropes depend on it: the call ends with these tokens. */
  rope_lengths?: ArrayLike<number>;
  /** The entry of the last step whose drawn token this is. */
  follows?: number;
  hooks?: TwinHooks | undefined;
  /** Default true. */
  ends_call?: boolean;
  sample?: SampleParams | null;
  /** Default "last". */
  logits?: StepEntry["logits"];
  captures?: readonly SiteId[];
  accumulate?: readonly { accumulator: TwinAccumulator; start: number; end: number }[];
}

export interface TwinResult {
  device: StepResult;
  truth: StepResult;
}

/**
 * One tiny model on the device under test and on the truth. Every step runs on both and everything it gives
 * back is compared, so that a check needs to say only what else must hold.
 */
export class Twin {
  readonly kind: Device["kind"];
  /** How the device keeps weights: decides the bounds. The truth's are exact, or quantised by the rule. */
  readonly dtype: FidelityDtype;
  readonly tiny: Tiny;
  readonly program: Program;
  readonly device: DeviceModel;
  readonly truth: DeviceModel;
  readonly #by_length: boolean;

  constructor(
    kind: Device["kind"],
    dtype: FidelityDtype,
    tiny: Tiny,
    device: DeviceModel,
    truth: DeviceModel,
  ) {
    this.kind = kind;
    this.dtype = dtype;
    this.tiny = tiny;
    this.program = buildProgram(tiny.decoder);
    this.device = device;
    this.truth = truth;
    this.#by_length = ropeLengths(tiny.decoder.spec.ropes) !== null;
  }

  sequence(): TwinSequence {
    return { n_tokens: 0, device: [], truth: [] };
  }

  /** Frees a sequence's blocks. */
  free(sequence: TwinSequence): void {
    this.device.freeBlocks(sequence.device.splice(0));
    this.truth.freeBlocks(sequence.truth.splice(0));
    sequence.n_tokens = 0;
  }

  /** A second sequence with the same past: whole blocks shared, the open one copied. Free its own only. */
  async fork(sequence: TwinSequence): Promise<TwinSequence> {
    const copy = { ...sequence, device: [...sequence.device], truth: [...sequence.truth] };
    const shared = Math.floor(sequence.n_tokens / this.device.block_size);
    for (let k = shared; k < sequence.device.length; k++) {
      await copyBlock(this.device, sequence.device, copy.device, k);
      await copyBlock(this.truth, sequence.truth, copy.truth, k);
    }
    return copy;
  }

  hooks(...hooks: Hook[]): TwinHooks {
    return this.deviceHooks(planHooks(this.tiny.decoder.spec, hooks).hooks);
  }

  deviceHooks(hooks: readonly DeviceHook[]): TwinHooks {
    return { hooks, device: this.device.addHooks(hooks), truth: this.truth.addHooks(hooks) };
  }

  accumulator(sites: readonly SiteId[]): TwinAccumulator {
    return { sites, device: this.device.addAccumulator(sites), truth: this.truth.addAccumulator(sites) };
  }

  /**
   * Runs a batch on both and compares all that comes back.
   *
   * @throws ContractError naming the entry, the place, the token and the element that differs
   */
  async step<const Asks extends readonly Ask[]>(
    asks: Asks,
  ): Promise<{ -readonly [Place in keyof Asks]: TwinResult }> {
    for (const ask of asks) await this.#reserve(ask);
    const device = await this.device.step(asks.map((ask) => this.#entry(ask, "device")));
    const truth = await this.truth.step(asks.map((ask) => this.#entry(ask, "truth")));
    await compareResults(this, asks, device, truth);
    for (const { sequence, tokens } of asks) sequence.n_tokens += tokens.length;
    const results = asks.map((_, i) => ({ device: itemAt(device, i), truth: itemAt(truth, i) }));
    return results as { -readonly [Place in keyof Asks]: TwinResult };
  }

  /** One entry alone. */
  async run(ask: Ask): Promise<TwinResult> {
    return (await this.step([ask]))[0];
  }

  async dispose(): Promise<void> {
    await this.device.dispose();
    await this.truth.dispose();
  }

  #entry(ask: Ask, side: "device" | "truth"): StepEntry {
    const { sequence, tokens, rope_lengths } = ask;
    const end = sequence.n_tokens + tokens.length;
    const lengths = rope_lengths ?? new Array<number>(tokens.length).fill(end);
    return toEntry(ask, this.#by_length ? Int32Array.from(lengths) : null, side);
  }

  async #reserve({ sequence, tokens }: Ask): Promise<void> {
    const need = Math.ceil((sequence.n_tokens + tokens.length) / this.device.block_size);
    const missing = need - sequence.device.length;
    if (missing <= 0) return;
    sequence.device.push(...(await this.device.allocBlocks(missing)));
    sequence.truth.push(...(await this.truth.allocBlocks(missing)));
  }
}

/** Loads a tiny model on the device and on a truth with the same block size. */
export async function openTwin(device: Device, tiny: Tiny, dtype: FidelityDtype = "auto"): Promise<Twin> {
  const { spec } = tiny.decoder;
  const program = buildProgram(tiny.decoder);
  const options = { n_ctx: spec.n_ctx, ropes: spec.ropes };
  const model = await device.load(program, tiny.weights, { ...options, dtype });
  const truth = createTruthDevice({ block_size: model.block_size });
  const exact = await truth.load(program, tiny.weights, {
    ...options,
    dtype: isQuantised(dtype) ? dtype : "auto",
  });
  return new Twin(device.kind, dtype, tiny, model, exact);
}

function toEntry(
  { sequence, tokens, hooks, accumulate = [], ...wants }: Ask,
  rope_lengths: Int32Array | null,
  side: "device" | "truth",
): StepEntry {
  return stepEntry({
    tokens: Int32Array.from(tokens),
    position: sequence.n_tokens,
    blocks: Int32Array.from(sequence[side]),
    hooks: hooks?.[side] ?? 0,
    accumulate: accumulate.map(({ accumulator, start, end }) => ({ id: accumulator[side], start, end })),
    ...wants,
    rope_lengths,
  });
}

/** Puts a copy of block `k` of a table at its place in another. */
async function copyBlock(model: DeviceModel, from: number[], to: number[], k: number): Promise<void> {
  const copy = onlyOf(await model.allocBlocks(1));
  to[k] = copy;
  model.copyBlock(itemAt(from, k), copy);
}
