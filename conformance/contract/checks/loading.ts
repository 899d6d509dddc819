import { onlyOf } from "../../../models/certain.ts";
import {
  buildProgram,
  type Device,
  type DeviceLoadOptions,
  type DeviceModel,
  type StoredDtype,
  type WeightTensor,
} from "../../../models/index.ts";
import { type TensorSource, weightSource } from "../../../sdk/checkpoint/weights/index.ts";
import { check, checkRefused } from "../assert.ts";
import type { Check } from "../check.ts";
import { stepAlone, stepEntry } from "../entry.ts";
import { randomFill, TINIES, type Tiny, tiny } from "../tiny.ts";

/** What a load owes: every weight read once and checked, progress, aborts, and disposal of what it made. */
export const loadingChecks: Check[] = [
  { name: "load refuses weights that are not finite", device: (create) => using(create, notFinite) },
  { name: "load refuses a tensor that ends early", device: (create) => using(create, truncated) },
  { name: "load reports bytes as they are read", device: (create) => using(create, progress) },
  { name: "load stops when its signal aborts", device: (create) => using(create, aborts) },
  { name: "load passes on the error of its source", device: (create) => using(create, sourceFails) },
  { name: "load refuses a dtype the device does not have", device: (create) => using(create, unknownDtype) },
  {
    name: "dtype bf16 rounds to the nearest, halves to even",
    device: (create) => using(create, roundsBfloat),
  },
  { name: "load refuses numbers too large for the dtype", device: (create) => using(create, tooLarge) },
  { name: "a model says how its matrices are kept", device: (create) => using(create, saysStored) },
  { name: "a load that failed leaves the device usable", device: (create) => using(create, usableAfter) },
  { name: "two models stand side by side", device: (create) => using(create, twoModels) },
  { name: "a disposed device refuses every call", device: disposedDevice },
];

const [f32, , bf16, f16] = TINIES;

async function using(create: () => Promise<Device>, run: (device: Device) => Promise<void>): Promise<void> {
  const device = await create();
  try {
    await run(device);
  } finally {
    await device.dispose();
  }
}

function load(device: Device, { decoder, weights }: Tiny, changes: Partial<DeviceLoadOptions> = {}) {
  const options = { dtype: "auto" as const, n_ctx: 64, ropes: decoder.spec.ropes, ...changes };
  return device.load(buildProgram(decoder), weights, options);
}

/** A tiny model of which one value is something else. */
function spoiled(name: string, dtype: "F32" | "F16" | "BF16", tensor: string, value: number): Tiny {
  const config = {
    model_type: "llama",
    hidden_size: 32,
    num_attention_heads: 4,
    num_hidden_layers: 1,
    intermediate_size: 48,
    vocab_size: 61,
  };
  return tiny(name, dtype, config, (spec, random) => {
    const values = randomFill(spec, random);
    if (spec.name.endsWith(tensor)) values[values.length - 3] = value;
    return values;
  });
}

async function notFinite(device: Device): Promise<void> {
  const places = [
    "down_proj.weight",
    "norm.weight",
    "embed_tokens.weight",
    "v_proj.weight",
    "lm_head.weight",
  ];
  for (const [n, place] of places.entries()) {
    for (const dtype of ["F32", "F16", "BF16"] as const) {
      const value = n % 2 === 0 ? Number.NaN : Number.NEGATIVE_INFINITY;
      const made = spoiled(`${value} in ${place}, ${dtype}`, dtype, place, value);
      await checkRefused(["bad_weights"], made.name, () => load(device, made));
    }
  }
}

/** The source's tensor of a name, its reads changed. */
function changedReads(
  made: Tiny,
  name: string,
  read: (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>,
): Tiny {
  const tensors: TensorSource = {
    tensor(wanted) {
      const tensor = made.tensors.tensor(wanted);
      if (!wanted.endsWith(name)) return tensor;
      return { ...tensor, read: async (start, end) => read(await tensor.read(start, end)) };
    },
  };
  return { ...made, tensors, weights: weightSource(tensors) };
}

async function truncated(device: Device): Promise<void> {
  for (const name of ["1.mlp.gate_proj.weight", "model.norm.weight", "embed_tokens.weight"]) {
    const short = changedReads(f32, name, (bytes) => bytes.subarray(0, Math.max(0, bytes.length - 4)));
    await checkRefused(["bad_weights"], `${name} cut short`, () => load(device, short));
  }
}

async function progress(device: Device): Promise<void> {
  for (const made of [f32, bf16, f16]) {
    const seen: [number, number][] = [];
    const model = await load(device, made, { on_progress: (done, total) => seen.push([done, total]) });
    const names = new Set(
      buildProgram(made.decoder).weights.flatMap(({ parts }) => parts.map((p) => p.name)),
    );
    const bytes = [...names].reduce((sum, name) => sum + made.tensors.tensor(name).byte_length, 0);
    check(
      seen.every(([done, total], i) => total === bytes && done > (seen[i - 1]?.[0] ?? 0)),
      `progress rises, of ${bytes} bytes: ${JSON.stringify(seen.slice(-2))}`,
    );
    check(seen.at(-1)?.[0] === bytes, "progress ends at the total");
    check(model.memory.weight_bytes > 0 && model.memory.block_bytes > 0, "memory is reported");
    await model.dispose();
  }
}

async function aborts(device: Device): Promise<void> {
  await checkRefused(["aborted"], "aborted before", () => load(device, f32, { signal: AbortSignal.abort() }));
  const controller = new AbortController();
  const on_progress = () => controller.abort();
  await checkRefused(["aborted"], "aborted on the way", () =>
    load(device, f32, { signal: controller.signal, on_progress }),
  );
}

async function sourceFails(device: Device): Promise<void> {
  const failing = changedReads(f32, "q_proj.weight", () => {
    throw new RangeError("the disk is gone");
  });
  let caught: unknown;
  await load(device, failing).catch((error: unknown) => {
    caught = error;
  });
  const message = `${caught} ${(caught as Error | undefined)?.cause ?? ""}`;
  check(message.includes("the disk is gone"), `the source's error reaches the caller: ${message}`);
}

async function unknownDtype(device: Device): Promise<void> {
  const all: StoredDtype[] = ["f32", "f16", "bf16", "q8", "q4"];
  for (const dtype of all.filter((name) => !device.dtypes.includes(name))) {
    await checkRefused(["unsupported"], `dtype ${dtype}`, () => load(device, f32, { dtype }));
  }
}

/** A file of float32 kept as bf16 gives what a bf16 file of the same values, rounded, gives. */
async function roundsBfloat(device: Device): Promise<void> {
  if (!device.dtypes.includes("bf16")) return;
  const weights = weightSource({
    tensor: (name) => (name.includes("norm") ? f32.tensors.tensor(name) : asBfloat(f32.tensors.tensor(name))),
  });
  const [rounded, of_file, exact] = await Promise.all([
    load(device, f32, { dtype: "bf16" }).then(stepOf),
    load(device, { ...f32, weights }).then(stepOf),
    load(device, f32, { dtype: "f32" }).then(stepOf),
  ]);
  check(rounded !== exact, "bf16 rounds");
  check(rounded === of_file, "a float32 file as bf16 is rounded to the nearest");
}

/** A float32 tensor as bfloat16, rounded to the nearest, halves to even. */
function asBfloat(tensor: WeightTensor): WeightTensor {
  const whole = async () => {
    const words = new Uint32Array(new Uint8Array(await tensor.read(0, tensor.byte_length)).buffer);
    return new Uint8Array(
      Uint16Array.from(words, (bits) => (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16).buffer,
    );
  };
  const byte_length = tensor.byte_length / 2;
  return { ...tensor, dtype: "BF16", byte_length, read: async (from, to) => (await whole()).slice(from, to) };
}

/** The numbers of float32 that follow these, which are above 0. */
function nextFloats(values: Float32Array<ArrayBuffer>): Float32Array {
  return new Float32Array(new Uint32Array(values.buffer).map((bits) => bits + 1).buffer);
}

/** Each largest number that rounds to a finite one is taken, the next refused. */
async function tooLarge(device: Device): Promise<void> {
  const largest = { f16: 65_519.996, bf16: 3.3961774e38 } as const;
  for (const dtype of ["f16", "bf16"] as const) {
    if (!device.dtypes.includes(dtype)) continue;
    const next = onlyOf(nextFloats(Float32Array.of(largest[dtype])));
    const of = (value: number) => spoiled(`${value} as ${dtype}`, "F32", "down_proj.weight", -value);
    await load(device, of(largest[dtype]), { dtype });
    await checkRefused(["bad_weights"], `${next} as ${dtype}`, () => load(device, of(next), { dtype }));
    await load(device, of(next), { dtype: "f32" });
  }
}

async function saysStored(device: Device): Promise<void> {
  const stored = async (made: Tiny, changes: Partial<DeviceLoadOptions> = {}) =>
    (await load(device, made, changes)).stored.join();
  for (const dtype of device.dtypes) check((await stored(f32, { dtype })) === dtype, `${dtype}, as asked`);
  const of_file = (await stored(bf16)) === "bf16" && (await stored(f16)) === "f16";
  const is_exact = (await stored(bf16)) === "f32" && (await stored(f16)) === "f32";
  check((await stored(f32)) === "f32" && (of_file || is_exact), "auto: as the file has it, or f32 for all");
}

async function usableAfter(device: Device): Promise<void> {
  await notFinite(device);
  await (await load(device, f32)).dispose();
}

async function twoModels(device: Device): Promise<void> {
  const [a, b, c] = [await load(device, f32), await load(device, bf16), await load(device, f32)];
  const [first, second, third] = await Promise.all([stepOf(a), stepOf(b), stepOf(c)]);
  check(first === third && first !== second, "each model has its own weights and cache");
  await a.dispose();
  check((await stepOf(c)) === third, "disposing one leaves the other");
}

/** The logits after three tokens, as text. */
async function stepOf(model: DeviceModel): Promise<string> {
  const blocks = Int32Array.from(await model.allocBlocks(1));
  const { logits } = await stepAlone(model, stepEntry({ tokens: Int32Array.of(1, 2, 3), blocks }));
  return String(logits);
}

async function disposedDevice(create: () => Promise<Device>): Promise<void> {
  const device = await create();
  const model = await load(device, f32);
  await device.dispose();
  await checkRefused(["device_lost"], "load on a disposed device", () => load(device, f32));
  await checkRefused(["device_lost"], "a model of a disposed device", () => model.allocBlocks(1));
  await device.dispose();
}
