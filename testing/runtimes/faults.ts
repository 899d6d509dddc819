import { stepAlone, stepEntry } from "../../conformance/contract/entry.ts";
import { CONTRACT, runCheck } from "../../conformance/contract/index.ts";
import { GREEDY } from "../../conformance/contract/params.ts";
import { TINIES } from "../../conformance/contract/tiny.ts";
import { type OpenOptions, openWebGpu, type WebGpuDevice } from "../../gpu/index.ts";
import { buildProgram, CapstanError, siteId } from "../../models/index.ts";
import { generate } from "../../sdk/index.ts";
import { loadOn } from "../../sdk/inference/load.ts";
import { requireWebGpu } from "../../sdk/platform/webgpu.ts";
import { runtimeOf } from "../runtime_of.ts";

/** What goes wrong on GPUs, made to go wrong: each fault's outcome in plain JSON. */
export async function faults(args: { source: string }): Promise<{
  loss: Awaited<ReturnType<typeof loss>>;
  memory: Awaited<ReturnType<typeof memory>>;
  growth: Awaited<ReturnType<typeof growth>>;
  weights: string;
  shader: string;
  refused: Awaited<ReturnType<typeof refused>>;
  no_adapter: string;
  no_device: string;
  smaller: Record<string, Record<string, string | null>>;
}> {
  return {
    loss: await loss(args.source),
    memory: await memory(),
    growth: await growth(args.source),
    weights: await weights(),
    shader: await brokenShader(),
    refused: await refused(),
    no_adapter: await errorOf(() => openWebGpu(gpuWith(async () => null))),
    no_device: await errorOf(async () =>
      openWebGpu(
        gpuWith((adapter) =>
          changed(adapter, "requestDevice", () => Promise.reject(new Error("it is busy"))),
        ),
      ),
    ),
    smaller: {
      "default limits, no features": await claimsWith({ defaults_only: true }),
      "bindings of 48 KiB": await claimsWith({ at_most: { binding_bytes: 48 << 10 } }),
    },
  };
}

/** The device goes while a reply is written; the model is loaded again and the reply goes on from its tokens. */
async function loss(source: string): Promise<{
  errors: string[];
  later: string[];
  resumed: number[];
  uninterrupted: number[];
  buffers: number;
}> {
  const prompt = [1, 2, 3, 4, 5];
  const prompts = [prompt, [9, 8, 7]];
  const options = { temperature: 0, max_tokens: 12 };
  const gpu = await requireWebGpu("lose a device");
  const open = async () => {
    const device = await openWebGpu(gpu);
    return { device, model: await loadOn(source, {}, async () => device) };
  };
  const first = await open();
  const whole = await generate(first.model, prompt, options).result;
  const seen: number[] = [];
  const errors = await Promise.all(
    prompts.map((prompt, i) =>
      errorOf(async () => {
        for await (const token of generate(first.model, prompt, options)) {
          if (i === 0) seen.push(token.id);
          if (i === 0 && seen.length === 4) first.device.gpu_device.destroy();
        }
      }),
    ),
  );
  const later = [
    await errorOf(() => generate(first.model, prompt, options).result),
    await errorOf(() => first.model.forward(Int32Array.of(1))),
  ];
  await first.model.dispose();
  const second = await open();
  const rest = { ...options, max_tokens: options.max_tokens - seen.length };
  const { tokens } = await generate(second.model, [...prompt, ...seen], rest).result;
  await second.model.dispose();
  return {
    errors,
    later,
    resumed: [...seen, ...tokens],
    uninterrupted: [...whole.tokens],
    buffers: first.device.counters.buffers,
  };
}

/** More cache than bindings hold: what would fit is reported, and the model works on. */
async function memory(): Promise<{ error: string; works_on: boolean }> {
  const device = await openWebGpu(await requireWebGpu("run out of memory"), {
    at_most: { binding_bytes: 64 << 10 },
  });
  try {
    const { decoder, weights } = TINIES[0];
    const options = { dtype: "auto" as const, n_ctx: 64, ropes: decoder.spec.ropes };
    const model = await device.load(buildProgram(decoder), weights, options);
    const error = await errorOf(async () => model.allocBlocks(1000));
    const blocks = Int32Array.from(await model.allocBlocks(2));
    const { logits } = await stepAlone(model, stepEntry({ tokens: Int32Array.of(1, 2), blocks }));
    return { error, works_on: logits?.every(Number.isFinite) === true };
  } finally {
    await device.dispose();
  }
}

/** A cache that cannot grow beyond some blocks: replies that need more wait for each other, and are what they are alone. */
async function growth(source: string): Promise<{
  alone: number[][];
  together: number[][];
  failed: number;
  capacity: number;
  left: number;
}> {
  const device = await openWebGpu(await requireWebGpu("run out of memory"));
  const model = await loadOn(source, {}, async () => device);
  const options = { temperature: 0, max_tokens: 40, logit_bias: { [model.spec.eos_token_ids[0] ?? 0]: -99 } };
  const prompts = Array.from({ length: 6 }, (_, n) => Array.from({ length: 40 }, (_, i) => (7 * i + n) % 90));
  const alone: number[][] = [];
  for (const prompt of prompts) alone.push([...(await generate(model, prompt, options).result).tokens]);
  const { scheduler } = runtimeOf(model);
  scheduler.prefixes.clear();
  const { gpu_device } = device;
  const create = gpu_device.createBuffer.bind(gpu_device);
  const { n_kv_heads, d_head } = model.spec;
  const block_bytes = 4 * 16 * n_kv_heads * Math.ceil(d_head / 4) * 4;
  let failed = 0;
  gpu_device.createBuffer = (wanted) => {
    if (!/^(keys|values) /.test(wanted.label ?? "")) return create(wanted);
    // Memory for 24 blocks: doubling the first 16 fails, growing by what is needed goes on.
    if (wanted.size <= 24 * block_bytes) return create(wanted);
    failed++;
    return create({ ...wanted, size: 2 ** 48 });
  };
  const replies = await Promise.all(prompts.map((prompt) => generate(model, prompt, options).result));
  const capacity = scheduler.pool.limit;
  await model.dispose();
  const left = device.counters.buffers;
  return { alone, together: replies.map(({ tokens }) => [...tokens]), failed, capacity, left };
}

/** Weights of which one row is more than a binding holds. */
async function weights(): Promise<string> {
  const device = await openWebGpu(await requireWebGpu("run out of memory"), {
    at_most: { binding_bytes: 64 },
  });
  const { decoder, weights } = TINIES[0];
  const options = { dtype: "auto" as const, n_ctx: 64, ropes: decoder.spec.ropes };
  const error = await errorOf(() => device.load(buildProgram(decoder), weights, options));
  await device.dispose();
  return `${error} (${device.counters.buffers} buffers left)`;
}

/** An adapter that does not take one kernel's code. */
async function brokenShader(): Promise<string> {
  const gpu = await requireWebGpu("compile a kernel");
  const device = await openWebGpu(gpu);
  const { gpu_device } = device;
  const create = gpu_device.createShaderModule.bind(gpu_device);
  gpu_device.createShaderModule = (wanted) =>
    create(
      wanted.label === "attention" ? { ...wanted, code: `${wanted.code}\nlet broken: nonsense;` } : wanted,
    );
  const { decoder, weights } = TINIES[0];
  const options = { dtype: "auto" as const, n_ctx: 64, ropes: decoder.spec.ropes };
  const error = await errorOf(() => device.load(buildProgram(decoder), weights, options));
  await device.dispose();
  return `${error} (${device.counters.buffers} buffers left)`;
}

/** A step with a number that no record holds, between two that draw a token: the second follows the first all the same. */
async function refused(): Promise<{ error: string; token: number; expected: number; counted: number }> {
  const device = await openWebGpu(await requireWebGpu("refuse a step"));
  const { decoder, weights } = TINIES[0];
  const options = { dtype: "auto" as const, n_ctx: 64, ropes: decoder.spec.ropes };
  const model = await device.load(buildProgram(decoder), weights, options);
  const blocks = Int32Array.from(await model.allocBlocks(1));
  const accumulator = model.addAccumulator([siteId(decoder.spec, "blocks.1.hook_resid_post")]);
  const accumulate = [{ id: accumulator, start: 0, end: 1 }];
  const prompt = stepEntry({ tokens: Int32Array.of(1, 2, 3), blocks, sample: GREEDY });
  const next = { tokens: Int32Array.of(0), blocks, position: 3, sample: GREEDY, accumulate };
  const drawn = await stepAlone(model, prompt);
  const expected = await stepAlone(model, stepEntry({ ...next, tokens: Int32Array.of(drawn.token) }));
  await model.step([prompt]);
  const wrong = { ...GREEDY, top_p: Number.NaN };
  const error = await errorOf(() => model.step([stepEntry({ ...next, follows: 0, sample: wrong })]));
  const found = await stepAlone(model, stepEntry({ ...next, follows: 0 }));
  const { count } = await model.readAccumulator(accumulator);
  await device.dispose();
  return { error, token: found.token, expected: expected.token, counted: count };
}

/** A few claims of every sort on a device of smaller limits. */
async function claimsWith(options: OpenOptions): Promise<Record<string, string | null>> {
  const gpu = await requireWebGpu("open a smaller device");
  const create = () => openWebGpu(gpu, options);
  const device: WebGpuDevice = await create();
  const found: Record<string, string | null> = {};
  for (const check of CONTRACT) {
    if (!("tiny" in check) || !/uneven chunks|means|tables in any order/.test(check.name)) continue;
    found[`${check.name} (${check.tiny.name})`] = await runCheck(check, device, create).then(
      () => null,
      String,
    );
  }
  await device.dispose();
  return found;
}

function gpuWith(change: (adapter: GPUAdapter) => GPUAdapter | Promise<null>): GPU {
  return {
    requestAdapter: async (options?: GPURequestAdapterOptions) => {
      const adapter = await (await requireWebGpu("find an adapter")).requestAdapter(options);
      return adapter === null ? null : change(adapter);
    },
  } as GPU;
}

/** The same object but for one method. */
function changed<T extends object>(object: T, name: keyof T, method: unknown): T {
  return new Proxy(object, {
    get: (target, key) => {
      if (key === name) return method;
      const value = Reflect.get(target, key, target) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function errorOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return "no error";
  } catch (error) {
    return error instanceof CapstanError ? `${error.code}: ${error.message}` : String(error);
  }
}
