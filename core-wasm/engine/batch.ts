import { present } from "../../models/certain.ts";
import { HOOK_OPS, LOGITS, NON_FINITE } from "../../models/codes.ts";
import type { SampleParams, StepEntry, StepResult } from "../../models/device.ts";
import type { DeviceHook } from "../../models/hooks.ts";
import { ropeRowsByLength } from "../../models/rope.ts";
import { SAMPLE_NUMBERS, type SampleNumbers } from "../../models/sample_numbers.ts";
import type { RopeSpec } from "../../models/spec.ts";
import type { Instance } from "./instance.ts";
import type { PackedReader, PackedWriter } from "./packed.ts";

const NUMBERS = Object.entries(SAMPLE_NUMBERS) as [keyof SampleNumbers, "f64" | "u32" | "i32"][];
const NON_FINITE_NAMES = new Map(
  (["residual", "logits"] as const).map((name) => [NON_FINITE[name] as number, name]),
);

/** A packed batch, as `Entry::read` of `src/batch.rs` takes it; `by_length` are the ropes that depend on length. */
export function writeBatch(
  packed: PackedWriter,
  batch: readonly StepEntry[],
  by_length: readonly RopeSpec[],
): Uint8Array {
  packed.clear().u32(batch.length);
  for (const entry of batch) {
    const { tokens, blocks, captures, accumulate, sample } = entry;
    packed.u32(tokens.length, entry.position, blocks.length, entry.hooks, Number(entry.ends_call));
    packed.u32(LOGITS[entry.logits], captures.length, accumulate.length, sample === null ? 0 : 1);
    packed.u32s(tokens).u32s(blocks).u32s(captures);
    for (const { id, start, end } of accumulate) packed.u32(id, start, end);
    if (sample !== null) writeSample(packed, sample);
    for (const rope of by_length) {
      const lengths = present(entry.rope_lengths, "the calls' lengths");
      const { cos, sin } = ropeRowsByLength(rope, entry.position, lengths);
      packed.f32s(cos).f32s(sin);
    }
  }
  return packed.bytes;
}

function writeSample(packed: PackedWriter, sample: SampleParams): void {
  const history = sample.history ?? new Int32Array(0);
  for (const [name, type] of NUMBERS) {
    if (type === "f64") packed.f64(sample[name]);
    // An i32 has the bits of its u32.
    else packed.u32(sample[name]);
  }
  packed.u32(...sample.seed, history.length, sample.logit_bias.length);
  packed.u32s(history);
  for (const { id, bias } of sample.logit_bias) packed.u32(id).f32(bias);
}

/** Packed hooks, as `HookSet::read` of `src/hooks.rs` takes them. */
export function writeHooks(packed: PackedWriter, hooks: readonly DeviceHook[]): Uint8Array {
  packed.clear().u32(hooks.length);
  for (const hook of hooks) {
    const only_last = hook.op !== "project" && hook.positions === "last";
    const delta = hook.op === "remove" ? hook.delta : null;
    const output = hook.op === "project" ? hook.output : 0;
    packed.u32(HOOK_OPS[hook.op], hook.site, Number(only_last), delta === null ? 0 : 1, output);
    packed.f32(hook.op === "clamp" ? hook.floor : 0, hook.op === "clamp" ? hook.ceiling : 0);
    packed.f32s(hook.op === "shift" ? hook.delta : hook.direction);
    if (delta !== null) packed.f32s(delta);
  }
  return packed.bytes;
}

/** Results as `write_results` of `src/batch.rs` gives them, copied out of the engine's memory. */
export function readResults(
  packed: PackedReader,
  instance: Instance,
  batch: readonly StepEntry[],
  d_model: number,
  d_vocab: number,
): StepResult[] {
  return batch.map((entry) => {
    const non_finite = NON_FINITE_NAMES.get(packed.u32()) ?? null;
    const token = packed.i32();
    const logprobs = packed.u32() === 1 ? readLogprobs(packed) : null;
    const [rows_at, n_rows, stride] = [packed.u32(), packed.u32(), packed.u32()];
    const [captures_at, , projections_at, n_projected] = [
      packed.u32(),
      packed.u32(),
      packed.u32(),
      packed.u32(),
    ];
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

function readLogprobs(packed: PackedReader): { token: number; top: { id: number; logprob: number }[] } {
  const token = packed.f64();
  const top = Array.from({ length: packed.u32() }, () => ({ id: packed.u32(), logprob: packed.f64() }));
  return { token, top };
}
