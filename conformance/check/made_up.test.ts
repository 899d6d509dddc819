import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decoder, gatedLayer, norm, readSizes } from "../../models/architectures/common.ts";
import { addArchitecture, type ConfigReader, type Decoder, readDecoder } from "../../models/index.ts";
import { readRope } from "../../models/rope.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  type TensorData,
} from "../../sdk/checkpoint/safetensors/index.ts";
import { memorySource } from "../../sdk/checkpoint/source/index.ts";
import { DEVICES } from "../devices.ts";
import { checkCase } from "./index.ts";

/** CONTRIBUTING's walk-through, done: a family nobody published takes one file of data and one case. */

/** The file of data: fields and tensors have names of their own, and q|k|v lie in one tensor, v first. */
function madeUp(config: ConfigReader): Decoder {
  const sizes = readSizes(config);
  const { d_model, d_head, n_heads, n_kv_heads } = sizes;
  const [d_q, d_kv] = [n_heads * d_head, n_kv_heads * d_head];
  const rows = { v: [0, d_kv], q: [d_kv, d_kv + d_q], k: [d_kv + d_q, 2 * d_kv + d_q] } as const;
  return decoder(
    config,
    sizes,
    {
      family: "made_up",
      norm: { kind: "rms", eps: config.positive("smallest_variance") },
      ropes: [readRope(config, d_head, { theta_field: "wave_base" })],
    },
    {
      layers: "body.floors",
      layer: (prefix) => {
        const fused = { name: `${prefix}.vqk.weight`, shape: [d_q + 2 * d_kv, d_model] };
        const qkv = (["q", "k", "v"] as const).map((kind) => {
          const [start, end] = rows[kind];
          return { ...fused, rows: { start, end } };
        });
        return { ...gatedLayer(prefix, sizes), qkv };
      },
      embed: "body.words",
      final_norm: norm("body.roof", d_model, { add: 1 }),
      head: "answers",
    },
  );
}

const NAMES: [RegExp, string][] = [
  [/^model\.layers\./, "body.floors."],
  [/^model\.embed_tokens\./, "body.words."],
  [/^model\.norm\./, "body.roof."],
  [/^lm_head\./, "answers."],
];

/** The case: Llama's own, its reference as it is, its model said in the words of the made-up family. */
function madeUpCase() {
  const folder = join(import.meta.dirname, "..", "reference", "llama-gqa-untied");
  const read = (file: string) => readFileSync(join(folder, file));
  const { rms_norm_eps, rope_parameters, ...config } = JSON.parse(read("config.json").toString());
  const described = JSON.parse(read("case.json").toString());
  const runs = described.runs.filter(({ name }: { name: string }) => ["plain", "order"].includes(name));
  const changed = {
    ...config,
    model_type: "made_up",
    smallest_variance: rms_norm_eps,
    wave_base: rope_parameters.rope_theta,
  };
  return {
    "config.json": JSON.stringify(changed),
    "case.json": JSON.stringify({ ...described, name: "made-up", runs }),
    "model.safetensors": renamed(read("model.safetensors")),
    ...Object.fromEntries(runs.map(({ reference }: { reference: string }) => [reference, read(reference)])),
  };
}

function renamed(file: Uint8Array): Uint8Array {
  const out: Record<string, TensorData> = {};
  const { tensors } = decodeSafetensors(file);
  for (const [name, tensor] of tensors) {
    const to = NAMES.reduce((text, [from, into]) => text.replace(from, into), name);
    if (/\.[qk]_proj\./.test(to)) continue;
    const { shape } = tensor;
    if (/\.v_proj\./.test(to)) {
      const parts = ["v", "q", "k"].map((kind) => tensors.get(name.replace("v_proj", `${kind}_proj`))!);
      const data = Float32Array.from(parts.flatMap((part) => [...part.float32()]));
      const fused = [parts.reduce((sum, part) => sum + part.shape[0]!, 0), shape[1]!];
      out[to.replace("self_attn.v_proj", "vqk")] = { dtype: "F32", shape: fused, data };
    } else {
      const values = tensor.float32();
      const data = to.startsWith("body.roof") ? values.map((value) => value - 1) : values;
      out[to] = { dtype: "F32", shape, data };
    }
  }
  return encodeSafetensors(out);
}

describe("a made-up family", () => {
  let remove = () => {};
  beforeAll(() => {
    remove = addArchitecture("made_up", madeUp);
  });
  afterAll(() => {
    remove();
    expect(() => readDecoder({ model_type: "made_up" })).toThrow("need model_type");
  });

  test.each(Object.entries(DEVICES))("runs within the bounds on %s", async (_, device) => {
    const report = await checkCase(memorySource(madeUpCase()), { device });
    expect(report.worst.relative_error / report.worst.bound).toBeLessThan(1);
    expect(report).toMatchObject({ case: "made-up", passed: true });
  });
});
