import { itemAt } from "./certain.ts";

/** Bits of an id that name the slot; those above count its uses, from 1: an id is never 0 and fits an Int32Array. */
const SLOT_BITS = 20;
const MOST_SLOTS = 1 << SLOT_BITS;
const LAST_USE = (1 << (31 - SLOT_BITS)) - 1;

/**
 * Ids for slots that are used again and again. An id holds its slot and how often the slot was used before, so that a
 * freed id is refused even when its slot serves something else. As `core-wasm/engine/src/slots.rs`.
 */
export class Slots {
  /** How often each slot was used. */
  readonly #uses: number[] = [];
  readonly #in_use: boolean[] = [];
  /** The longest free first. */
  readonly #vacant: number[] = [];

  /** Slots there can ever be. */
  static readonly most = MOST_SLOTS;

  /** Slots that can be taken. */
  get n_vacant(): number {
    return this.#vacant.length;
  }

  /** Makes slots [0, count) available, those that are there already included. */
  grow(count: number): void {
    for (let slot = this.#uses.length; slot < count; slot++) {
      this.#uses.push(0);
      this.#in_use.push(false);
      this.#vacant.push(slot);
    }
  }

  /** Ids of `count` vacant slots; the caller has checked that there are as many. */
  take(count: number): number[] {
    return this.#vacant.splice(0, count).map((slot) => {
      const uses = (itemAt(this.#uses, slot) % LAST_USE) + 1;
      this.#uses[slot] = uses;
      this.#in_use[slot] = true;
      return uses * MOST_SLOTS + slot;
    });
  }

  /** The slot of an id in use; undefined for every other number. */
  slotOf(id: number): number | undefined {
    const slot = id % MOST_SLOTS;
    return this.#in_use[slot] === true && this.#uses[slot] === (id - slot) / MOST_SLOTS ? slot : undefined;
  }

  /** Gives an id's slot back; false for an id that is not in use. */
  free(id: number): boolean {
    const slot = this.slotOf(id);
    if (slot === undefined) return false;
    this.#in_use[slot] = false;
    this.#vacant.push(slot);
    return true;
  }
}
