import { stepEntry } from "../../conformance/contract/entry.ts";
import { GREEDY } from "../../conformance/contract/params.ts";
import { Random } from "../../conformance/contract/random.ts";
import { TINIES } from "../../conformance/contract/tiny.ts";
import { shareOf } from "../../conformance/share.ts";
import { type Counters, openWebGpu, type WebGpuDevice } from "../../gpu/index.ts";
import { itemAt } from "../../models/certain.ts";
import {
  buildProgram,
  type DeviceModel,
  type Hook,
  planHooks,
  type SampleParams,
  type StepEntry,
  siteId,
} from "../../models/index.ts";
import { generate } from "../../sdk/index.ts";
import { loadOn } from "../../sdk/inference/load.ts";
import { requireWebGpu } from "../../sdk/platform/webgpu.ts";
import type { GenerateOptions, Model } from "../../sdk/types.ts";

/** What a piece of work added to a device's counters. */
export type Cost = Record<keyof Counters, number>;

const TINY = TINIES[0];
const N_STEPS = 4;

/** What the WebGPU device does for a step, with and without hooks: by name, the cost of each piece of work. */
export async function counts(args: {
  /** A Hugging Face folder, for what the verbs cost. */
  source: string;
}): Promise<{ n_layers: number; steps: Record<string, Cost>; verbs: Record<string, Cost>; left: Cost }> {
  const device = await openWebGpu(await requireWebGpu("count what steps cost"));
  try {
    const steps = await stepCosts(device);
    const verbs = await verbCosts(device, args.source);
    return { n_layers: TINY.decoder.spec.n_layers, steps, verbs, left: { ...device.counters } };
  } finally {
    await device.dispose();
  }
}

async function costOf(device: WebGpuDevice, work: () => Promise<unknown>): Promise<Cost> {
  const before = { ...device.counters };
  await work();
  const names = Object.keys(before) as (keyof Counters)[];
  return Object.fromEntries(names.map((name) => [name, device.counters[name] - before[name]])) as Cost;
}

/** `N_STEPS` steps of each kind, after steps of the same kind that made what they need. */
async function stepCosts(device: WebGpuDevice): Promise<Record<string, Cost>> {
  const { spec } = TINY.decoder;
  const options = { dtype: "auto", n_ctx: spec.n_ctx, ropes: spec.ropes } as const;
  const model = await device.load(buildProgram(TINY.decoder), TINY.weights, options);
  const hooks = model.addHooks(planHooks(spec, everyKind(spec.n_layers, spec.d_model)).hooks);
  const site = siteId(spec, "blocks.1.hook_resid_post");
  const penalised: SampleParams = { ...GREEDY, history: Int32Array.of(1, 2, 3), frequency_penalty: 1 };
  const accumulate = [{ id: model.addAccumulator([site]), start: 0, end: 1 }];
  const one = (changes: Partial<StepEntry> = {}) => [changes];
  const work: Record<string, Partial<StepEntry>[]> = {
    "a token": one(),
    "a token with hooks": one({ hooks }),
    "a token with a capture": one({ captures: [site] }),
    "a token with logits": one({ logits: "last" }),
    "a token with penalties and a mean": one({ sample: penalised, accumulate }),
    "eight tokens": Array.from({ length: 8 }, () => ({})),
    "eight tokens, half with hooks": Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? { hooks } : {})),
    "a prompt": one({ tokens: new Random(1).tokens(40, spec.d_vocab) }),
    "a prompt with hooks": one({ tokens: new Random(1).tokens(40, spec.d_vocab), hooks }),
  };
  const costs: Record<string, Cost> = {};
  for (const [name, batch] of Object.entries(work)) costs[name] = await stepCost(device, model, batch);
  await model.dispose();
  return costs;
}

async function stepCost(
  device: WebGpuDevice,
  model: DeviceModel,
  changes: readonly Partial<StepEntry>[],
): Promise<Cost> {
  const blocks: Int32Array[] = [];
  for (const _ of changes) blocks.push(Int32Array.from(await model.allocBlocks(16)));
  const position = changes.map(() => 0);
  const step = () => {
    const batch = changes.map((change, i) => {
      const entry = { tokens: Int32Array.of(i), position: itemAt(position, i), blocks: itemAt(blocks, i) };
      return stepEntry({ ...entry, sample: GREEDY, logits: "none", ...change });
    });
    for (const [i, { tokens }] of batch.entries()) position[i]! += tokens.length;
    return model.step(batch);
  };
  for (let n = 0; n < 2; n++) await step();
  const cost = await costOf(device, async () => {
    for (let n = 0; n < N_STEPS; n++) await step();
  });
  for (const table of blocks) model.freeBlocks([...table]);
  return Object.fromEntries(Object.entries(cost).map(([name, n]) => [name, n / N_STEPS])) as Cost;
}

/** A hook of each kind on every residual site of every layer. */
function everyKind(n_layers: number, d_model: number): Hook[] {
  const random = new Random(9);
  const next = () => random.vector(d_model, 0.1);
  return Array.from({ length: n_layers }, (_, layer) =>
    (["hook_resid_pre", "hook_resid_mid", "hook_resid_post"] as const).flatMap((kind): Hook[] => {
      const site = `blocks.${layer}.${kind}` as const;
      return [
        { kind: "cap", site, vector: next(), floor: 0 },
        { kind: "add", site, vector: next() },
        { kind: "ablate", site, vector: next() },
        { kind: "mean_ablate", site, vector: next(), mean: next() },
        { kind: "project", site, vector: next(), name: site },
      ];
    }),
  ).flat();
}

/** Whole verbs through the scheduler, once before they are counted. */
async function verbCosts(device: WebGpuDevice, source: string): Promise<Record<string, Cost>> {
  const model = await loadOn(source, {}, async () => shareOf(device));
  const mean = ["blocks.*.hook_resid_post"];
  const costs: Record<string, Cost> = {
    "a reply of 8 tokens": await replies(device, model, 1, {}),
    "four replies": await replies(device, model, 4, {}),
    "four replies with means": await replies(device, model, 4, { mean }),
    "means of four texts": await twice(device, () =>
      together(4, (i) =>
        model.forward([1 + i, 2, 3, 4], {
          logits: "none",
          mean: { sites: mean, spans: [{ start: 1, end: 4 }] },
        }),
      ),
    ),
  };
  await model.dispose();
  return costs;
}

function replies(device: WebGpuDevice, model: Model, count: number, options: GenerateOptions): Promise<Cost> {
  const request = { temperature: 0, max_tokens: 8, ...options };
  return twice(device, () => together(count, (i) => generate(model, [1 + i, 2, 3], request).result));
}

function together(count: number, work: (i: number) => Promise<unknown>): Promise<unknown> {
  return Promise.all(Array.from({ length: count }, (_, i) => work(i)));
}

async function twice(device: WebGpuDevice, work: () => Promise<unknown>): Promise<Cost> {
  await work();
  return costOf(device, work);
}
