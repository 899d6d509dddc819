import type { BatchSlot, ScheduledSequence } from "./scheduled_sequence.ts";

/**
 * The slots of the next step: sequences with one token to go come first, then prompts, until the step is full. An
 * isolated sequence has a step of its own. None where nothing can run, or some of it has to wait. Prompts of the client
 * that was served least come first.
 *
 * @param last slots of the step before, which may not have come back: what it draws may be followed
 */
export function chooseBatch(
  active: readonly ScheduledSequence[],
  last: readonly BatchSlot[],
  limits: { max_step_tokens: number; max_step_sequences: number },
  admission: { served(scheduled: ScheduledSequence): number },
): BatchSlot[] {
  const isolated = active.find(({ is_isolated }) => is_isolated);
  const single: BatchSlot[] = [];
  const longer: BatchSlot[] = [];
  for (const scheduled of isolated === undefined ? active : [isolated]) {
    const slot = scheduled.nextSlot(last);
    // A step without those that wait would cost them another pass over the weights: batches stay whole.
    if (slot === "waits") return [];
    if (slot !== "ends") (slot.count === 1 ? single : longer).push(slot);
  }
  longer.sort((a, b) => admission.served(a.scheduled) - admission.served(b.scheduled));
  const chosen = [...single, ...longer].slice(0, limits.max_step_sequences);
  let left = limits.max_step_tokens;
  for (const slot of chosen) {
    slot.count = Math.min(slot.count, left, slot.scheduled.chunk_limit);
    left -= slot.count;
  }
  return chosen.filter(({ count }) => count > 0);
}
