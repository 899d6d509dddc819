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
const of = (outcome: string) => results.filter((result) => result.outcome === outcome);
const [killed, survived, skipped] = [of("killed"), of("survived"), of("skipped")];
if (values.json) {
  process.stdout.write(
    `${JSON.stringify({ killed: killed.length, survived: survived.length, skipped: skipped.length, results }, null, 2)}\n`,
  );
} else {
  process.stdout.write(`${killed.length} killed, ${survived.length} survived, ${skipped.length} skipped\n`);
}
process.exit(survived.length === 0 ? 0 : 3);
