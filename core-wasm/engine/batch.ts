import type { SampleParams, StepEntry, StepResult } from "../../models/device.ts";
import type { DeviceHook } from "../../models/hooks.ts";
import { ropeRowsByLength } from "../../models/rope.ts";
import type { RopeSpec } from "../../models/spec.ts";
import type { Instance } from "./instance.ts";
import type { WordReader, WordWriter } from "./packed.ts";

const LOGITS = { none: 0, last: 1, all: 2 } as const;
const HOOK_OPS = { clamp: 0, shift: 1, remove: 2, project: 3 } as const;

/** A batch in words, as `Entry::read` of `src/batch.rs` takes it; `by_length` are the ropes that depend on length. */
export function writeBatch(
  words: WordWriter,
  batch: readonly StepEntry[],
  by_length: readonly RopeSpec[],
): Uint8Array {
  words.clear().u32(batch.length);
  for (const entry of batch) {
    const { tokens, blocks, captures, accumulate, sample } = entry;
    words.u32(tokens.length, entry.position, blocks.length, entry.hooks, Number(entry.ends_call));
    words.u32(LOGITS[entry.logits], captures.length, accumulate.length, sample === null ? 0 : 1);
    words.u32s(tokens).u32s(blocks).u32s(captures);
    for (const { id, start, end } of accumulate) words.u32(id, start, end);
    if (sample !== null) writeSample(words, sample);
    for (const rope of by_length) {
      const { cos, sin } = ropeRowsByLength(rope, entry.position, entry.rope_lengths!);
      words.f32s(cos).f32s(sin);
    }
  }
  return words.bytes;
}

function writeSample(words: WordWriter, sample: SampleParams): void {
  const history = sample.history ?? new Int32Array(0);
  words.f64(sample.temperature, sample.top_p, sample.min_p);
  words.f64(sample.repetition_penalty, sample.frequency_penalty, sample.presence_penalty);
  words.u32(sample.top_k, sample.top_logprobs, ...sample.seed, sample.draw, sample.n_prompt);
  words.u32(history.length, sample.logit_bias.length);
  words.u32s(history);
  for (const { id, bias } of sample.logit_bias) words.u32(id).f32(bias);
}

/** Hooks in words, as `HookSet::read` of `src/hooks.rs` takes them. */
export function writeHooks(words: WordWriter, hooks: readonly DeviceHook[]): Uint8Array {
  words.clear().u32(hooks.length);
  for (const hook of hooks) {
    const only_last = hook.op !== "project" && hook.positions === "last";
    const delta = hook.op === "remove" ? hook.delta : null;
    const output = hook.op === "project" ? hook.output : 0;
    words.u32(HOOK_OPS[hook.op], hook.site, Number(only_last), delta === null ? 0 : 1, output);
    words.f32(hook.op === "clamp" ? hook.floor : 0, hook.op === "clamp" ? hook.ceiling : 0);
    words.f32s(hook.op === "shift" ? hook.delta : hook.direction);
    if (delta !== null) words.f32s(delta);
  }
  return words.bytes;
}

/** Results as `write_results` of `src/batch.rs` gives them, copied out of the engine's memory. */
export function readResults(
  words: WordReader,
  instance: Instance,
  batch: readonly StepEntry[],
  d_model: number,
  d_vocab: number,
): StepResult[] {
  return batch.map((entry) => {
    const non_finite = ([null, "residual", "logits"] as const)[words.u32()] ?? null;
    const token = words.i32();
    const logprobs = words.u32() === 1 ? readLogprobs(words) : null;
    const [rows_at, n_rows, stride] = [words.u32(), words.u32(), words.u32()];
    const [captures_at, , projections_at, n_projected] = [words.u32(), words.u32(), words.u32(), words.u32()];
    const size = entry.tokens.length * d_model;
    return {
      non_finite,
      token,
      logprobs,
      logits: entry.logits === "none" ? null : instance.floats(rows_at, n_rows, d_vocab, stride),
      captures: entry.captures.map((_, i) => instance.floats(captures_at + 4 * i * size, 1, size)),
      projections: instance.floats(projections_at, 1, n_projected),
    };
  });
}

function readLogprobs(words: WordReader): { token: number; top: { id: number; logprob: number }[] } {
  const token = words.f64();
  const top = Array.from({ length: words.u32() }, () => ({ id: words.u32(), logprob: words.f64() }));
  return { token, top };
}
