import {
  abortedError,
  buildProgram,
  type Decoder,
  type Program,
  type RawConfig,
  tensorSpecs,
  type Warn,
  type WeightSource,
  type WeightTensor,
} from "../../../models/index.ts";
import type { FileSource } from "../../types.ts";
import { weightSource } from "./part.ts";
import { type OpenedWeights, openWeights } from "./weights.ts";

/** A decoder with its program and its weights, headers read. */
export interface OpenDecoder {
  decoder: Decoder;
  program: Program;
  weights: WeightSource;
}

/**
 * Opens a decoder's weights. Where config.json ties the head to the embedding, the files have the last word, as in
 * transformers: a head of its own that differs is used (published finetunes keep the flag of the model they come
 * from), an equal one is not loaded twice, and of two that should be there either stands for both.
 *
 * @throws CapstanError as `openWeights`, `aborted`
 */
export async function openDecoder(
  source: FileSource,
  decoder: Decoder,
  config: RawConfig,
  options: { signal?: AbortSignal | undefined; warn?: Warn } = {},
): Promise<OpenDecoder> {
  const { signal, warn = () => {} } = options;
  const program = buildProgram(decoder);
  const specs = tensorSpecs(program);
  const { embed, head } = decoder.tensors;
  if (!decoder.spec.tied_embeddings) {
    const weights = weightSource(await openWeights(source, specs, config, { warn }));
    return { decoder, program, weights };
  }
  const optional = [embed.name, head.name];
  const weights = await openWeights(source, [...specs, head], config, { optional, warn });
  if (!weights.has(embed.name) && !weights.has(head.name)) await openWeights(source, specs, config);
  const settled = await settleHead(decoder, weights, signal);
  if (!settled.spec.tied_embeddings) {
    warn(`config.json ties the head to the embedding; the files' own ${head.name}, which differs, is used.`);
  }
  return { decoder: settled, program: buildProgram(settled), weights: weightSource(weights) };
}

async function settleHead(
  decoder: Decoder,
  weights: OpenedWeights,
  signal: AbortSignal | undefined,
): Promise<Decoder> {
  const { spec, tensors } = decoder;
  const { embed, head } = tensors;
  if (!weights.has(head.name)) return decoder;
  if (!weights.has(embed.name)) return { spec, tensors: { ...tensors, embed: head } };
  if (await haveSameBytes(weights.tensor(embed.name), weights.tensor(head.name), signal)) return decoder;
  return { spec: { ...spec, tied_embeddings: false }, tensors };
}

const PROBE_BYTES = 2 ** 14;
const CHUNK_BYTES = 2 ** 22;

/** Reads both to their first difference: two trained matrices differ in the first bytes, equal ones are read whole. */
async function haveSameBytes(a: WeightTensor, b: WeightTensor, signal?: AbortSignal): Promise<boolean> {
  if (a.dtype !== b.dtype || a.byte_length !== b.byte_length) return false;
  for (let start = 0, end = 0; start < a.byte_length; start = end) {
    if (signal?.aborted) throw abortedError("load weights", signal);
    end = Math.min(a.byte_length, start + (start === 0 ? PROBE_BYTES : CHUNK_BYTES));
    const [of_a, of_b] = await Promise.all([a.read(start, end), b.read(start, end)]);
    if (!areEqual(of_a, of_b)) return false;
  }
  return true;
}

/** A loop: a callback for each of some hundred million bytes takes eight times as long. */
function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
