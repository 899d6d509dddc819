import { readFileSync } from "node:fs";
import { join } from "node:path";
import { decodeSafetensors } from "../../safetensors/index.ts";

/** One input of oddities.jsonl (`make.py`): a reference case and what is changed of its files. */
export interface Oddity {
  seed: number;
  case: string;
  /** Fields of config.json as raw JSON texts; null leaves one out. */
  config?: Record<string, string | null>;
  /** Whole files. */
  texts?: Record<string, string>;
  /** Dtypes of tensors. */
  cast?: Record<string, "F64" | "F32">;
  /** Tensors that nobody reads: `byte` is each of their bytes. */
  extra?: { name: string; dtype: string; shape: number[]; byte: number }[];
  /** The header's `__metadata__`, or none at all. */
  metadata?: { __metadata__?: null | Record<string, string> };
  /** The shard of each tensor (sorted by name), what the index says of it (- for nothing), and what it says besides. */
  shards?: string;
  index?: string;
  index_extra?: Record<string, string>;
  /** The last row of logits, where the change shows. */
  last?: number[];
}

const BYTES: Record<string, number> = {
  ...{ F16: 2, BF16: 2, I16: 2, U16: 2 },
  ...{ F32: 4, I32: 4, U32: 4 },
};
const bytesOf = (dtype: string) => BYTES[dtype] ?? (/64$/.test(dtype) ? 8 : 1);

/** The files of the oddity's case with its changes. */
export function oddFiles(folder: string, oddity: Oddity): Record<string, Uint8Array | string> {
  const read = (name: string) => readFileSync(join(folder, oddity.case, name));
  const config = JSON.parse(read("config.json").toString()) as Record<string, unknown>;
  const fields = new Map<string, string | null>(
    Object.entries(config).map(([key, value]) => [key, JSON.stringify(value)]),
  );
  for (const [key, raw] of Object.entries(oddity.config ?? {})) fields.set(key, raw);
  const texts = [...fields].flatMap(([key, raw]) => (raw === null ? [] : [`${JSON.stringify(key)}:${raw}`]));
  const weights = weightFiles(decodeSafetensors(read("model.safetensors")).tensors, oddity);
  return { "config.json": `{${texts.join(",")}}`, ...oddity.texts, ...weights };
}

interface Piece {
  name: string;
  dtype: string;
  shape: readonly number[];
  data: Uint8Array;
}

function weightFiles(tensors: ReturnType<typeof decodeSafetensors>["tensors"], oddity: Oddity) {
  const names = [...tensors.keys()].sort();
  const shards = oddity.shards ?? "0".repeat(names.length);
  const count = Math.max(...Array.from(shards, Number)) + 1;
  const pieces: Piece[][] = Array.from({ length: count }, () => []);
  for (const [i, name] of names.entries()) {
    const tensor = tensors.get(name)!;
    const dtype = oddity.cast?.[name] ?? tensor.dtype;
    const wide = dtype === "F64" ? Float64Array.from(tensor.float32()) : tensor.float32();
    const data = dtype === tensor.dtype ? tensor.data : new Uint8Array(wide.buffer);
    pieces[Number(shards[i])]!.push({ name, dtype, shape: tensor.shape, data });
  }
  for (const { name, dtype, shape, byte } of oddity.extra ?? []) {
    const length = shape.reduce((a, b) => a * b, bytesOf(dtype));
    pieces[0]!.push({ name, dtype, shape, data: new Uint8Array(length).fill(byte) });
  }
  const paths = count === 1 ? ["model.safetensors"] : pieces.map((_, i) => `${i}.safetensors`);
  const metadata = oddity.metadata ?? { __metadata__: { format: "pt" } };
  const files: Record<string, Uint8Array | string> = {};
  for (const [i, path] of paths.entries()) files[path] = safetensors(pieces[i]!, metadata);
  if (count > 1) {
    const claimed = names.flatMap((name, i) =>
      oddity.index![i] === "-" ? [] : [[name, paths[Number(oddity.index![i])]!]],
    );
    const weight_map = { ...Object.fromEntries(claimed), ...oddity.index_extra };
    files["model.safetensors.index.json"] = JSON.stringify({ metadata: {}, weight_map });
  }
  return files;
}

/** As Python writes it: in the order given, which our own writer sorts. */
function safetensors(pieces: readonly Piece[], metadata: object): Uint8Array {
  let at = 0;
  const entries = pieces.map(({ name, dtype, shape, data }) => {
    at += data.length;
    return [name, { dtype, shape, data_offsets: [at - data.length, at] }];
  });
  const header = new TextEncoder().encode(JSON.stringify({ ...metadata, ...Object.fromEntries(entries) }));
  const file = new Uint8Array(8 + header.length + at);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(header, 8);
  let end = 8 + header.length;
  for (const { data } of pieces) {
    file.set(data, end);
    end += data.length;
  }
  return file;
}
