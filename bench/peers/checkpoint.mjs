// Reads float32 tensors from a folder of safetensors shards.
import { readFileSync } from "node:fs";
import { join } from "node:path";

export function openCheckpoint(folder) {
  const json = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
  const { weight_map } = json("model.safetensors.index.json");
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
      const { data, header, start } = shard(weight_map[name]);
      const { dtype, shape, data_offsets } = header[name];
      if (dtype !== "F32") throw new Error(`${name} is ${dtype}: this peer takes F32`);
      const bytes = Uint8Array.from(data.subarray(start + data_offsets[0], start + data_offsets[1]));
      return { shape, values: new Float32Array(bytes.buffer) };
    },
  };
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
