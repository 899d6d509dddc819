import process from "node:process";
import { parseArgs } from "node:util";
import { MUTANTS } from "./list/index.ts";
import { runMutants, sampleOf } from "./mutants.ts";

/** `run.ts [names] --sample 10 --seed 1 --json`: a line a fault; ends with 3 where one survives. */
const { values, positionals } = parseArgs({
  options: {
    sample: { type: "string" },
    seed: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

const unknown = positionals.filter((name) => !MUTANTS.some((one) => one.name.startsWith(name)));
if (unknown.length > 0) {
  process.stderr.write(`no fault begins with ${JSON.stringify(unknown[0])}; --list prints their names\n`);
  process.exit(2);
}
const named = MUTANTS.filter(
  ({ name }) => positionals.length === 0 || positionals.some((start) => name.startsWith(start)),
);
const chosen =
  values.sample === undefined ? named : sampleOf(named, Number(values.sample), Number(values.seed));
if (values.list) {
  for (const { name } of chosen) process.stdout.write(`${name}\n`);
  process.exit(0);
}
const results = await runMutants(chosen, ({ name, outcome, seconds, by }) => {
  const line = `${outcome.padEnd(8)} ${seconds.toFixed(1).padStart(5)} s  ${name}${by === "" ? "" : `  (${by})`}\n`;
  (values.json ? process.stderr : process.stdout).write(line);
});
const counts = Object.fromEntries(
  (["killed", "survived", "broken", "skipped"] as const).map((outcome) => [
    outcome,
    results.filter((result) => result.outcome === outcome).length,
  ]),
);
const line = Object.entries(counts)
  .map(([outcome, n]) => `${n} ${outcome}`)
  .join(", ");
process.stdout.write(values.json ? `${JSON.stringify({ ...counts, results }, null, 2)}\n` : `${line}\n`);
process.exit(counts.broken === 0 ? (counts.survived === 0 ? 0 : 3) : 1);
