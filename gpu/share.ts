import { itemAt } from "../models/certain.ts";
import type { ActivationName, Stage } from "./plan.ts";

/** Live range: the stages from the one that writes a buffer to the last one that reads what was written. */
interface LiveRange {
  first: number;
  last: number;
}

/**
 * Puts buffers into as few places as hold them: the widest first, each into the first place where what it holds is
 * never needed at the same time as what the others there hold. Those `alone` share with nobody. `widths` are floats a row.
 */
export function shareBuffers(
  stages: readonly Stage[],
  widths: Readonly<Record<ActivationName, number>>,
  alone: ReadonlySet<ActivationName>,
): { place: Map<ActivationName, number>; widths: number[] } {
  const lives = [...liveRangesOf(stages)].sort(([a], [b]) => widths[b] - widths[a]);
  const places: { width: number; held: LiveRange[]; alone: boolean }[] = [];
  const place = new Map<ActivationName, number>();
  for (const [name, ranges] of lives) {
    const fits = ({ held }: { held: LiveRange[] }) =>
      !held.some((other) => ranges.some((own) => overlap(own, other)));
    let index = alone.has(name) ? -1 : places.findIndex((found) => !found.alone && fits(found));
    if (index < 0) index = places.push({ width: widths[name], held: [], alone: alone.has(name) }) - 1;
    itemAt(places, index).held.push(...ranges);
    place.set(name, index);
  }
  return { place, widths: places.map(({ width }) => width) };
}

function overlap(a: LiveRange, b: LiveRange): boolean {
  return a.first <= b.last && b.first <= a.last;
}

function liveRangesOf(stages: readonly Stage[]): Map<ActivationName, LiveRange[]> {
  const found = new Map<ActivationName, LiveRange[]>();
  for (const [index, stage] of stages.entries()) {
    const { reads, writes } = usesOf(stage);
    for (const name of reads) {
      const range = found.get(name)?.at(-1);
      if (range === undefined) throw new RangeError(`stage ${index} reads ${name} before it is written`);
      range.last = index;
    }
    for (const name of writes) {
      if (reads.includes(name)) continue;
      found.set(name, [...(found.get(name) ?? []), { first: index, last: index }]);
    }
  }
  return found;
}

/** What a stage reads and what it writes; what it changes in place is both. */
export function usesOf(stage: Stage): { reads: ActivationName[]; writes: ActivationName[] } {
  switch (stage.kind) {
    case "embed":
      return { reads: [], writes: [stage.op.out, ...outOf(stage.norm)] };
    case "residual_add":
      return { reads: [stage.op.in, stage.op.into], writes: [stage.op.into, ...outOf(stage.norm)] };
    case "matmul":
      return { reads: [stage.in], writes: [stage.out] };
    case "rope_append":
      return { reads: [stage.rope.buffer], writes: [stage.out] };
    case "attention":
      return { reads: [stage.op.out], writes: [stage.op.out] };
    case "experts":
      return { reads: [stage.op.in], writes: ["expert_act", stage.op.out] };
    case "norm":
      return { reads: [stage.in], writes: [stage.norm.out] };
    case "sample":
      return { reads: ["logits"], writes: ["logits"] };
    default:
      return stage satisfies never;
  }
}

function outOf(norm: { out: ActivationName } | null): ActivationName[] {
  return norm === null ? [] : [norm.out];
}
