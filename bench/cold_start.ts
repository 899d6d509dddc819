import { packageEntry, runCode, runSelf, type TimedRun } from "../sdk/platform/index.ts";
import { median } from "./measure.ts";

/** What start-up costs, in milliseconds from the start of a process: medians over fresh processes. */
export interface ColdStart {
  /** A process that does nothing, to its end. */
  empty_ms: number;
  /** One that imports `capstan`, to its end. */
  import_ms: number;
  /** The median of how much longer that took than the empty one before it. */
  import_beyond_empty_ms: number;
  /** The command that writes one token with the embedded model: to that token, and to its end. */
  first_token_ms: number;
  process_ms: number;
  runs: number;
}

/** What is run in each round, one after the other. */
export type StartUpProgram = "empty" | "import" | "first_token";

type Run = (program: StartUpProgram) => Promise<Pick<TimedRun, "first_output_ms" | "elapsed_ms">>;

const ONE_TOKEN = ["generate", "--prompt", "Hello", "--max_tokens", "1", "--temperature", "0"];

const runFresh: Run = (program) => {
  if (program === "first_token") return runSelf(ONE_TOKEN);
  return runCode(program === "empty" ? "0" : `await import(${JSON.stringify(packageEntry())})`);
};

/**
 * Starts processes turn by turn, since a machine's speed drifts more than they differ. The first round, which finds files
 * in no cache, is not counted.
 */
export async function measureColdStart(
  runs: number,
  signal: AbortSignal,
  run: Run = runFresh,
): Promise<ColdStart> {
  const rounds: Record<"empty" | "import" | "first" | "whole", number>[] = [];
  for (let round = 0; round <= runs; round++) {
    signal.throwIfAborted();
    const empty = await run("empty");
    const imported = await run("import");
    const token = await run("first_token");
    if (round === 0) continue;
    rounds.push({
      empty: empty.elapsed_ms,
      import: imported.elapsed_ms,
      first: token.first_output_ms,
      whole: token.elapsed_ms,
    });
  }
  return {
    empty_ms: median(rounds.map((round) => round.empty)),
    import_ms: median(rounds.map((round) => round.import)),
    import_beyond_empty_ms: median(rounds.map((round) => round.import - round.empty)),
    first_token_ms: median(rounds.map((round) => round.first)),
    process_ms: median(rounds.map((round) => round.whole)),
    runs,
  };
}
