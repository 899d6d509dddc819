import { runSelf } from "../../sdk/platform/index.ts";
import { median } from "./measure.ts";

export interface ColdStart {
  /** The whole process, from its start to its end, with one token generated. */
  process_ms: number;
  runs: number;
}

/** Starts this program anew, again and again, to write one token with the embedded model. Medians. */
export async function measureColdStart(runs: number, signal: AbortSignal): Promise<ColdStart> {
  const times: number[] = [];
  for (let n = 0; n < runs; n++) {
    signal.throwIfAborted();
    const args = ["generate", "--prompt", "Hello", "--max_tokens", "1", "--json"];
    times.push((await runSelf(args)).elapsed_ms);
  }
  return { process_ms: median(times), runs };
}
