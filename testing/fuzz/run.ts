import process from "node:process";
import { nameOf, runInput } from "./targets.ts";

/**
 * Runs inputs by number and says each before it runs it, so that whoever watches knows which one hung or crashed:
 * `deno run -A run.ts FIRST COUNT`. Ends with 1 and one line of JSON for each input that failed.
 */
const [first = 0, count = 1] = process.argv.slice(2).map(Number);
const MOST_GROWTH = 400 * 2 ** 20;
let failures = 0;
for (let seed = first; seed < first + count; seed++) {
  process.stdout.write(`${seed}\n`);
  const before = process.memoryUsage().rss;
  try {
    await runInput(seed);
    const growth = process.memoryUsage().rss - before;
    if (growth > MOST_GROWTH) throw new Error(`the process grew by ${growth} bytes`);
  } catch (error) {
    failures++;
    const { name, message, stack } = error as Error;
    const report = {
      seed,
      target: nameOf(seed),
      name,
      message,
      stack: stack?.split("\n").slice(1, 5),
    };
    process.stderr.write(`${JSON.stringify(report)}\n`);
  }
}
process.exit(failures === 0 ? 0 : 1);
