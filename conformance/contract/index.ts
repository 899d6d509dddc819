/** The device contract as data: claims that hold of every device, runnable in any runtime. */
import type { Check } from "./check.ts";
import { anyBatchChecks } from "./checks/any_batch.ts";
import { batchChecks } from "./checks/batch.ts";
import { followChecks } from "./checks/follows.ts";
import { forwardChecks, widenedChecks } from "./checks/forward.ts";
import { greedyChecks } from "./checks/greedy.ts";
import { hookChecks } from "./checks/hooks.ts";
import { largeVocabChecks } from "./checks/large_vocab.ts";
import { loadingChecks } from "./checks/loading.ts";
import { longSumsChecks } from "./checks/long_sums.ts";
import { nonFiniteChecks } from "./checks/non_finite.ts";
import { quantisedChecks } from "./checks/quantised.ts";
import { readbackChecks } from "./checks/readback.ts";
import { refusalChecks } from "./checks/refusals.ts";
import { ropeLengthChecks } from "./checks/rope_lengths.ts";
import { samplingChecks } from "./checks/sampling.ts";

export { type Check, runCheck } from "./check.ts";

/** Every claim, the simplest first. */
export const CONTRACT: readonly Check[] = [
  ...forwardChecks,
  ...widenedChecks,
  ...readbackChecks,
  ...hookChecks,
  ...batchChecks,
  ...ropeLengthChecks,
  ...greedyChecks,
  ...samplingChecks,
  ...largeVocabChecks,
  ...longSumsChecks,
  ...followChecks,
  ...nonFiniteChecks,
  ...refusalChecks,
  ...loadingChecks,
  ...quantisedChecks,
  ...anyBatchChecks,
];
