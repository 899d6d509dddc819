import { type Command, InvalidArgumentError } from "commander";
import { EXIT } from "../../sdk/cli/exit.ts";
import { type Io, verb } from "../../sdk/cli/io.ts";
import { diffRuns, growth, type MovedSite } from "./diff.ts";
import { type ReadCase, readRunFile } from "./read.ts";

/** How many sites are shown to people; `--json` has all. */
const N_SHOWN = 20;

interface Options {
  factor: number;
  json?: boolean;
}

/** `capstan conformance diff`. */
export function addDiff(conformance: Command): void {
  conformance
    .command("diff")
    .description("what a second run does otherwise than a first")
    .argument("<a>", "what capstan conformance --json printed before")
    .argument("<b>", "what it printed after")
    .option("--factor <x>", "errors that grow or shrink by no more are the same", factor, 2)
    .option("--json", "print one JSON object on stdout and nothing else")
    .addHelpText(
      "after",
      `
Examples:
  $ capstan conformance conformance/reference/* --json > before.json
  $ capstan conformance diff before.json after.json --factor 4

Exit code 3: a site of B errs by more than the factor times what A does, or a case of A passes no more.`,
    )
    .action(verb((io, options: Options, a: string, b: string) => run(io, a, b, options)));
}

function factor(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value >= 1) return value;
  throw new InvalidArgumentError("It must be a number from 1.");
}

async function run(io: Io, path_a: string, path_b: string, options: Options): Promise<0 | 3> {
  const [a, b] = [await readRunFile(path_a), await readRunFile(path_b)];
  const diff = diffRuns(a, b, options.factor);
  await io.print(`A: ${madeOn(a)}\nB: ${madeOn(b)}`);
  for (const [what, names] of [
    ["passes in A, fails in B", diff.fails_now],
    ["fails in A, passes in B", diff.passes_now],
    ["only in A", diff.only_in_a],
    ["only in B", diff.only_in_b],
  ] as const) {
    if (names.length > 0) await io.print(`${what}: ${names.join(", ")}`);
  }
  await printSites(io, `larger in B by more than ${diff.factor}x`, diff.worse_sites);
  await printSites(io, `smaller in B by more than ${diff.factor}x`, diff.better_sites);
  await io.print(
    `${diff.n_sites} sites of ${diff.n_cases} cases compared: B is ${diff.worse ? "worse" : "no worse"} than A`,
  );
  await io.result({ ...diff, a: of(a), b: of(b) });
  return diff.worse ? EXIT.fell_short : EXIT.done;
}

function of(cases: readonly ReadCase[]): { device: string; dtype: string }[] {
  const made = new Map(
    cases.map(({ device, dtype }) => [
      `${device.description} ${dtype}`,
      { device: device.description, dtype },
    ]),
  );
  return [...made.values()];
}

function madeOn(cases: readonly ReadCase[]): string {
  return (
    of(cases)
      .map(({ device, dtype }) => `${device}, dtype ${dtype}`)
      .join("; ") || "no cases"
  );
}

async function printSites(io: Io, what: string, sites: readonly MovedSite[]): Promise<void> {
  if (sites.length === 0) return;
  await io.print(`${sites.length} errors ${what}:`);
  for (const site of sites.slice(0, N_SHOWN)) {
    const { case: name, run: of, pass, a, b } = site;
    const times = Math.max(growth(site), 1 / growth(site)).toPrecision(3);
    await io.print(
      `  ${name} ${of}, ${pass}: ${site.site} ${a.toExponential(2)} -> ${b.toExponential(2)} (${times}x)`,
    );
  }
  if (sites.length > N_SHOWN) await io.print(`  and ${sites.length - N_SHOWN} more (--json has all)`);
}
