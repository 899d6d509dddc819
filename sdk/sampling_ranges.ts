/** Which values of a sampling parameter mean something: a call with others is refused, a model's default is ignored. */
export interface SamplingRange {
  min: number;
  max: number;
  is_whole?: true;
}

export const SAMPLING_RANGES = {
  /** 0 is greedy. */
  temperature: { min: 0, max: 100 },
  /** 0 keeps all. */
  top_k: { min: 0, max: 2 ** 31 - 1, is_whole: true },
  /** 1 keeps all. */
  top_p: { min: 0, max: 1 },
  /** 0 keeps all. */
  min_p: { min: 0, max: 1 },
  /** 1 is none. */
  repetition_penalty: { min: 1e-3, max: 1e3 },
  /** 0 is none. */
  frequency_penalty: { min: -100, max: 100 },
  presence_penalty: { min: -100, max: 100 },
} as const satisfies Record<string, SamplingRange>;

/** Whether a value is a number of the range. */
export function isWithin(value: unknown, { min, max, is_whole }: SamplingRange): value is number {
  if (typeof value !== "number" || !(value >= min && value <= max)) return false;
  return is_whole !== true || Number.isInteger(value);
}

/** `a number from 0 to 1`, `a whole number from 0`. */
export function rangeText({ min, max, is_whole }: SamplingRange): string {
  const kind = is_whole === true ? "a whole number" : "a number";
  return max === 2 ** 31 - 1 ? `${kind} from ${min}` : `${kind} from ${min} to ${max}`;
}
