import { runSelf } from "../sdk/platform/index.ts";
import { median } from "./measure.ts";

export interface ColdStart {
  /** From the start of the process to its first token on stdout. */
  first_token_ms: number;
  /** To the process's end, after that one token. */
  process_ms: number;
  runs: number;
}

/** Starts this program again, again and again, to write one token with the embedded model. Medians. */
export async function measureColdStart(runs: number, signal: AbortSignal): Promise<ColdStart> {
  const first: number[] = [];
  const whole: number[] = [];
  for (let n = 0; n < runs; n++) {
    signal.throwIfAborted();
    const args = ["generate", "--prompt", "Hello", "--max_tokens", "1", "--temperature", "0"];
    const { first_output_ms, elapsed_ms } = await runSelf(args);
    first.push(first_output_ms);
    whole.push(elapsed_ms);
  }
  return { first_token_ms: median(first), process_ms: median(whole), runs };
}
