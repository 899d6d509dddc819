import { Fault } from "./errors.ts";

/**
 * What a template may use. It comes with a model from anywhere, and may neither run for ever nor fill the memory.
 * Compiling and rendering are synchronous, so one count at a time is enough.
 */

/** Steps of a rendering: hundreds of times what long chats need, and seconds at most. */
const MOST_STEPS = 1_000_000;
/** Characters of the longest text, items of the longest list. */
export const LONGEST_TEXT = 2 ** 23;
export const LONGEST_LIST = 2 ** 19;
/** Bits of the largest integer. Python prints none of more than 4,300 digits (14,285 bits). */
export const LARGEST_INTEGER = 2 ** 16;
/** Calls of macros and recursive loops within each other; Python's stack ends at about 190. */
const DEEPEST_CALL = 200;
/** Characters made, characters read, and items listed, that cost a step. */
const CHARACTERS_A_STEP = 256;
const CHARACTERS_READ_A_STEP = 1024;
const ITEMS_A_STEP = 16;

let steps = 0;
let depth = 0;

/** Runs with a count of its own. */
export function withBudget<T>(run: () => T): T {
  const [outer_steps, outer_depth] = [steps, depth];
  steps = depth = 0;
  try {
    return run();
  } finally {
    steps = outer_steps;
    depth = outer_depth;
  }
}

/** Counts work. */
export function spend(units: number): void {
  steps += units;
  if (steps > MOST_STEPS) throw new Fault("Bounds", `more than ${MOST_STEPS} steps`);
}

/** Charges for a text before it is made. */
export function spendText(characters: number): void {
  if (characters > LONGEST_TEXT) throw new Fault("Bounds", `a text of more than ${LONGEST_TEXT} characters`);
  spend(characters / CHARACTERS_A_STEP);
}

/** Charges for reading a text: to compare it, to look for something in it, to count its code points. */
export function spendRead(characters: number): void {
  spend(characters / CHARACTERS_READ_A_STEP);
}

/** Charges for a list before it is made. */
export function spendList(items: number): void {
  checkList(items);
  spend(items / ITEMS_A_STEP);
}

/** Keeps a list that grows within bounds. */
export function checkList(items: number): void {
  if (items > LONGEST_LIST) throw new Fault("Bounds", `a list of more than ${LONGEST_LIST} items`);
}

/** Runs a call of a macro or a recursive loop. */
export function deeper<T>(run: () => T): T {
  if (depth >= DEEPEST_CALL) throw new Fault("Bounds", `more than ${DEEPEST_CALL} calls within each other`);
  depth++;
  try {
    return run();
  } finally {
    depth--;
  }
}
