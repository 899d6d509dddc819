import {
  buildProgram,
  type Device,
  type StoredDtype,
  type TensorSpec,
  tensorSpecs,
  toFloats,
  type WeightSource,
} from "../../../models/index.ts";
import { createTruthDevice } from "../../truth/index.ts";
import type { Check } from "../check.ts";
import { Random } from "../random.ts";
import { TINIES, type Tiny } from "../tiny.ts";
import { Twin } from "../twin.ts";

/** Weights in a block, and the largest step of each type. */
const BLOCK = 32;
const MOST = { q8: 127, q4: 7 } as const;

const made = ["gqa, f32", "wide, f32", "experts, f32", "qk-norm, sliding window on some layers, bf16"];

/** Quantised weights are what the rule makes of them, and are computed with exactly: no error beside rounding. */
export const quantisedChecks: Check[] = (["q8", "q4"] as const).flatMap((dtype) =>
  TINIES.filter(({ name }) => made.includes(name)).map((tiny) => ({
    name: `${dtype}: symmetric blocks of ${BLOCK} with a float16 scale, exactly (${tiny.name})`,
    device: (create: () => Promise<Device>) => quantisedExactly(create, tiny, dtype),
  })),
);

async function quantisedExactly(
  create: () => Promise<Device>,
  tiny: Tiny,
  dtype: "q8" | "q4",
): Promise<void> {
  const device = await create();
  try {
    if (!(device.dtypes as readonly StoredDtype[]).includes(dtype)) return;
    const { spec } = tiny.decoder;
    const program = buildProgram(tiny.decoder);
    const options = { n_ctx: spec.n_ctx, ropes: spec.ropes };
    const model = await device.load(program, tiny.weights, { ...options, dtype });
    const truth = createTruthDevice({ block_size: model.block_size });
    const exact = await truth.load(program, await quantised(tiny, dtype), { ...options, dtype: "auto" });
    const twin = new Twin(device.kind, "f32", tiny, model, exact);
    const random = new Random(97);
    const sequence = twin.sequence();
    for (const length of [1, 3, 21]) {
      const tokens = random.tokens(length, program.d_vocab);
      await twin.run({ sequence, tokens, logits: "all", captures: [0, 2, 4, 9] });
    }
    await twin.dispose();
  } finally {
    await device.dispose();
  }
}

/** The tiny's weights with every matrix quantised and turned back; vectors and routers stay as they are. */
async function quantised(tiny: Tiny, dtype: "q8" | "q4"): Promise<WeightSource> {
  const program = buildProgram(tiny.decoder);
  const routers = new Set(program.ops.flatMap((op) => (op.op === "router" ? [op.weight] : [])));
  const matrices = new Set(
    program.weights.flatMap(({ kind, parts }, id) =>
      kind === "matrix" && !routers.has(id) ? parts.map(({ name }) => name) : [],
    ),
  );
  const tensors = new Map<string, Float32Array>();
  for (const spec of tensorSpecs(program)) {
    const tensor = tiny.weights.tensor(spec.name);
    const values = toFloats(await tensor.read(0, tensor.byte_length), tensor.dtype);
    if (matrices.has(spec.name)) quantiseRows(values, spec, MOST[dtype]);
    tensors.set(spec.name, values);
  }
  return {
    tensor(name) {
      const values = tensors.get(name)!;
      const bytes = new Uint8Array(values.buffer);
      const read = async (start: number, end: number) => bytes.slice(start, end);
      return { ...tiny.weights.tensor(name), dtype: "F32", byte_length: bytes.length, read };
    },
  };
}

function quantiseRows(values: Float32Array, { shape }: TensorSpec, most: number): void {
  const cols = shape.at(-1)!;
  for (let row = 0; row * cols < values.length; row++) {
    for (let col = 0; col < cols; col += BLOCK) {
      quantiseBlock(values.subarray(row * cols + col, row * cols + Math.min(col + BLOCK, cols)), most);
    }
  }
}

/** The scale is the float16 next to largest / most, kept 256 times as large; a step is the nearest whole number. */
function quantiseBlock(block: Float32Array, most: number): void {
  const largest = block.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
  const scale = roundToHalf(Math.fround(Math.fround(256 * largest) / most)) / 256;
  for (const [i, x] of block.entries()) {
    const step = scale === 0 ? 0 : Math.max(-most, Math.min(most, roundToEven(Math.fround(x / scale))));
    block[i] = step * scale;
  }
}

/** Float16 of a positive number in its normal range, to the nearest and even on a tie; 0 below. */
function roundToHalf(value: number): number {
  if (value < 2 ** -14) return 0;
  const unit = 2 ** (Math.floor(Math.log2(value)) - 10);
  return roundToEven(value / unit) * unit;
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
