import { number, whole } from "./options.ts";

/** Which values of a sampling parameter mean something: a call with others is refused, a model's default is ignored. */
export const SAMPLING_RULES = {
  /** 0 is greedy. */
  temperature: number(0, 100),
  /** 0 keeps all. */
  top_k: whole(0, 2 ** 31 - 1),
  /** 1 keeps all. */
  top_p: number(0, 1),
  /** 0 keeps all. */
  min_p: number(0, 1),
  /** 1 is none. */
  repetition_penalty: number(1e-3, 1e3),
  /** 0 is none. */
  frequency_penalty: number(-100, 100),
  /** 0 is none. */
  presence_penalty: number(-100, 100),
};
