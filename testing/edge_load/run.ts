import process from "node:process";
import { parseArgs } from "node:util";
import { type EdgeLoadReport, edgeLoad, isRight } from "./edge_load.ts";

/** `run.ts --streams 1000 -- node bin/capstan.mjs`: figures, or a line of JSON; ends with 3 where one of them is wrong. */
const { values, positionals } = parseArgs({
  options: {
    streams: { type: "string", default: "1000" },
    model: { type: "string", default: "capstan-tiny" },
    seed: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
  },
  allowPositionals: true,
});
const [streams, seed] = [Number(values.streams), Number(values.seed)];
if (!Number.isSafeInteger(streams) || streams < 1 || !Number.isSafeInteger(seed)) {
  process.stderr.write("edge-load: need --streams as a whole number from 1, and --seed as a whole number\n");
  process.exit(2);
}
const report = await edgeLoad({
  streams,
  seed,
  model: values.model,
  command: positionals,
  on_progress: (ended) => {
    if (ended % 100 === 0) process.stderr.write(`${ended} of ${streams} streams\n`);
  },
});
process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : shown(report));
process.exit(isRight(report) ? 0 : 3);

function shown(report: EdgeLoadReport): string {
  const { first_token_ms: first, between_tokens_ms: between, event_loop_lag_ms: lag, left } = report;
  const bound = (ms: number | null) => (ms === null ? "over all bounds" : `under ${ms}`);
  const lines = [
    ["streams", `${report.streams} on ${report.model}, seed ${report.seed}, ${report.seconds} s`],
    ["finished", report.finished],
    ["aborted by the client", report.aborted],
    ["refused (429, Retry-After)", report.refused],
    ["failed", report.failed],
    ["lost", report.lost],
    ["time to first token, ms", first === null ? "none" : `p50 ${first.p50}, p99 ${first.p99}`],
    ["between tokens, ms", between === null ? "none" : `p50 ${between.p50}, p99 ${between.p99}`],
    ["event loop lag, ms", `p50 ${bound(lag.p50)}, p99 ${bound(lag.p99)}`],
    ["server memory, MB", `${report.memory_mb.before} before, ${report.memory_mb.after} after`],
    ["left at the end", `${left.sequences} sequences, ${left.blocks} KV blocks`],
    ["compared with alone", `${report.compared}, ${report.crossed.length} wrong`],
    ["drained on SIGTERM", report.drained ? "yes" : "no"],
  ];
  const faults = [...report.errors, ...report.crossed].slice(0, 20);
  return `${lines.map(([name, value]) => `${String(name).padEnd(28)}${value}`).join("\n")}\n${faults.map((one) => `  ${one}\n`).join("")}`;
}
