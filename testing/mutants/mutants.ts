import { spawn } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { present } from "../../models/certain.ts";
import { uniforms } from "../../sdk/science/numbers/random.ts";
import { lacks, type Part } from "../parts.ts";
import { filesOf, root } from "./tree.ts";

/**
 * Deliberate faults: each is an edit of a source, made in a copy of this repository, that at least one of its tests has
 * to notice. A fault that none notices shows a test that is missing.
 */
export interface Mutant {
  /** What is wrong in it, behind its file: `sdk/science/plots/drift: curves swapped`. */
  name: string;
  file: string;
  /** Text that the file holds exactly once. */
  find: string;
  replace: string;
  /** Test files, of which a test must fail. */
  tests: readonly string[];
  /** Instead: the tests of a Rust crate, by what their names contain. */
  cargo?: { crate: string; filter: string };
  /** What its tests need beyond npm; without it, it is skipped aloud. */
  needs?: Part;
}

/** `broken`: the edit makes no program, so that no test has tried it. */
export type Outcome = "killed" | "survived" | "broken" | "skipped";

export interface MutantResult {
  name: string;
  outcome: Outcome;
  seconds: number;
  /** The test that failed; why it is broken; what is missing, where it was skipped. */
  by: string;
}

/** A run of test files. */
interface TestRun {
  outcome: Exclude<Outcome, "skipped">;
  by: string;
}

const PASSED: TestRun = { outcome: "survived", by: "" };
const killedBy = (by: string): TestRun => ({ outcome: "killed", by });
const broken = (by: string): TestRun => ({ outcome: "broken", by });

/** Seconds after which a run of tests counts as one that hangs. */
const HANG_SECONDS = 300;

/** One file's faults: name, text to find, replacement. */
export function faultsOf(
  file: string,
  tests: string | readonly string[],
  edits: readonly (readonly [name: string, find: string, replace: string])[],
  more: Pick<Mutant, "needs" | "cargo"> = {},
): Mutant[] {
  return edits.map(([name, find, replace]) => ({
    name: `${file.slice(0, file.lastIndexOf("."))}: ${name}`,
    file,
    find,
    replace,
    tests: typeof tests === "string" ? [tests] : tests,
    ...more,
  }));
}

/** What is wrong with a list, a line each: an edit that no longer fits its file, a test that is no more, a name given twice. */
export function problemsOf(mutants: readonly Mutant[]): string[] {
  const problems: string[] = [];
  const names = new Set<string>();
  for (const { name, file, find, replace, tests, cargo } of mutants) {
    if (names.has(name)) problems.push(`${name}: the name is taken`);
    names.add(name);
    const path = join(root, file);
    const n_found = existsSync(path) ? readFileSync(path, "utf8").split(find).length - 1 : 0;
    if (n_found !== 1)
      problems.push(`${name}: ${file} holds ${JSON.stringify(find)} ${n_found} times, not once`);
    if (find === replace) problems.push(`${name}: changes nothing`);
    if (tests.length === 0 && cargo === undefined) problems.push(`${name}: names no test`);
    for (const test of tests) {
      if (!existsSync(join(root, test))) problems.push(`${name}: there is no ${test}`);
    }
  }
  return problems;
}

/** `count` of them by a seed, in the order of the list. */
export function sampleOf(mutants: readonly Mutant[], count: number, seed: number): Mutant[] {
  const random = uniforms(seed);
  const drawn = mutants.map((mutant) => ({ mutant, at: random() })).sort((a, b) => a.at - b.at);
  const chosen = new Set(drawn.slice(0, count).map(({ mutant }) => mutant));
  return mutants.filter((mutant) => chosen.has(mutant));
}

/**
 * Makes each fault in turn in one copy of the repository and runs its tests there.
 *
 * @throws Error for an edit that does not fit its file, and where tests fail without any fault
 */
export async function runMutants(
  mutants: readonly Mutant[],
  on_result: (result: MutantResult) => void = () => {},
): Promise<MutantResult[]> {
  const problems = problemsOf(mutants);
  if (problems.length > 0) throw new Error(problems.join("\n"));
  const copy = mkdtempSync(join(tmpdir(), "capstan-mutants-"));
  try {
    copyTree(copy);
    const results: MutantResult[] = [];
    const passed = new Set<string>();
    for (const mutant of mutants) {
      if (missingOf(mutant) === null) await passWithout(copy, mutant.tests, passed);
      const result = await runMutant(copy, mutant);
      results.push(result);
      on_result(result);
    }
    return results;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** Sees to it that tests pass without any fault; each file once. */
async function passWithout(copy: string, tests: readonly string[], passed: Set<string>): Promise<void> {
  const fresh = tests.filter((test) => !passed.has(test));
  const without = await runTests(copy, fresh);
  if (without !== PASSED) throw new Error(`${fresh.join(", ")} fails without any fault: ${without.by}`);
  for (const test of fresh) passed.add(test);
}

async function runMutant(copy: string, mutant: Mutant): Promise<MutantResult> {
  const { name, file, find, replace, tests, cargo } = mutant;
  const missing = missingOf(mutant);
  if (missing !== null) return { name, outcome: "skipped", seconds: 0, by: `needs ${missing}` };
  const path = join(copy, file);
  const source = readFileSync(path, "utf8");
  const began = performance.now();
  try {
    writeFileSync(
      path,
      source.replace(find, () => replace),
    );
    const run = cargo === undefined ? await runTests(copy, tests) : await runCargo(copy, cargo);
    const seconds = (performance.now() - began) / 1000;
    return { name, seconds, ...run };
  } finally {
    writeFileSync(path, source);
  }
}

function missingOf({ needs, cargo }: Mutant): Part | null {
  if (needs !== undefined && lacks(needs)) return needs;
  return cargo !== undefined && lacks("cargo") ? "cargo" : null;
}

/** The files of the repository as they are, committed or not; packages are linked. */
function copyTree(copy: string): void {
  const { files, packages } = filesOf();
  for (const file of files) {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    copyFileSync(join(root, file), join(copy, file));
  }
  for (const folder of packages) symlinkSync(join(root, folder), join(copy, folder));
}

interface JsonReport {
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { status: string; fullName: string }[];
  }[];
}

async function runTests(copy: string, tests: readonly string[]): Promise<TestRun> {
  if (tests.length === 0) return PASSED;
  const report = join(copy, ".mutants-report.json");
  rmSync(report, { force: true });
  const vitest = join(copy, "node_modules", "vitest", "vitest.mjs");
  const args = [vitest, "run", "--bail=1", "--reporter=json", `--outputFile=${report}`, ...tests];
  const { hangs, code, output } = await runToEnd(process.env.CAPSTAN_NODE ?? "node", args, copy);
  if (hangs) return killedBy(`no end after ${HANG_SECONDS} s`);
  if (!existsSync(report)) throw new Error(`vitest wrote no report: ${output.slice(-2000)}`);
  const { testResults } = JSON.parse(readFileSync(report, "utf8")) as JsonReport;
  for (const { assertionResults, status, message, name } of testResults) {
    const failed = assertionResults.find((test) => test.status === "failed");
    if (failed !== undefined) return killedBy(failed.fullName);
    if (status !== "failed") continue;
    if (/SyntaxError|PARSE_ERROR|Transform failed|Cannot find|Failed to (resolve|load)/.test(message))
      return broken(`${name} does not load: ${message.split("\n")[0]}`);
    return killedBy(message.split("\n")[0] || `${name}, outside its tests`);
  }
  return code === 0 ? PASSED : killedBy("the end of the test run");
}

async function runCargo(
  copy: string,
  { crate, filter }: { crate: string; filter: string },
): Promise<TestRun> {
  const target = join(root, "core-wasm", "target", "mutants");
  const args = ["test", "--quiet", "-p", crate, "--lib", filter];
  const { hangs, code, output } = await runToEnd("cargo", args, join(copy, "core-wasm"), {
    CARGO_TARGET_DIR: target,
  });
  if (hangs) return killedBy(`no end after ${HANG_SECONDS} s`);
  if (code === 0 && /test result: ok\. 0 passed/.test(output))
    return broken(`no test of ${crate} is named ${filter}`);
  if (code !== 0 && !/test result: FAILED/.test(output))
    return broken(`${crate} does not build: ${/^error.*$/m.exec(output)?.[0] ?? code}`);
  if (code === 0) return PASSED;
  return killedBy(/^\s{4}(\S+::\S+)$/m.exec(output)?.[1] ?? filter);
}

/** Runs a program in a group of its own, which ends with it. */
function runToEnd(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<{ hangs: boolean; code: number | null; output: string }> {
  const child = spawn(command, args, {
    cwd,
    // Vitest in vitest would take itself for a worker of the outer one.
    env: { ...withoutVitest(process.env), ...env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let output = "";
  let hangs = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const timer = setTimeout(() => {
    hangs = true;
    process.kill(-present(child.pid, "a process"), "SIGKILL");
  }, 1000 * HANG_SECONDS);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ hangs, code, output });
    });
  });
}

function withoutVitest(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(VITEST|NODE_ENV$|TEST$)/.test(name)));
}
