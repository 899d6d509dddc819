// Reads tensors as float32 from a folder of safetensors.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

export function openCheckpoint(folder) {
  const json = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
  const index = "model.safetensors.index.json";
  const fileOf = existsSync(join(folder, index))
    ? (name) => json(index).weight_map[name]
    : () => "model.safetensors";
  const shards = new Map();
  const shard = (file) => {
    if (!shards.has(file)) {
      const data = readFileSync(join(folder, file));
      const length = Number(data.readBigUInt64LE(0));
      shards.set(file, { data, header: JSON.parse(data.toString("utf8", 8, 8 + length)), start: 8 + length });
    }
    return shards.get(file);
  };
  return {
    config: json("config.json"),
    /** `{ shape, values }` of a tensor. */
    tensor(name) {
      const { data, header, start } = shard(fileOf(name));
      const { dtype, shape, data_offsets } = header[name];
      const bytes = () => data.subarray(start + data_offsets[0], start + data_offsets[1]);
      return {
        shape,
        get values() {
          return floats(Uint8Array.from(bytes()).buffer, dtype, name);
        },
      };
    },
  };
}

function floats(bytes, dtype, name) {
  if (dtype === "F32") return new Float32Array(bytes);
  if (dtype !== "BF16") throw new Error(`${name} is ${dtype}: peers take F32 and BF16`);
  return new Float32Array(Uint32Array.from(new Uint16Array(bytes), (bits) => bits << 16).buffer);
}

/** Tensors [rows, cols] stacked on rows, turned to [cols, all rows]. */
export function stackTransposed(tensors) {
  const cols = tensors[0].shape[1];
  const rows = tensors.reduce((sum, { shape }) => sum + shape[0], 0);
  const out = new Float32Array(rows * cols);
  let first = 0;
  for (const { shape, values } of tensors) {
    for (let r = 0; r < shape[0]; r++) {
      for (let c = 0; c < cols; c++) out[c * rows + first + r] = values[r * cols + c];
    }
    first += shape[0];
  }
  return out;
}
