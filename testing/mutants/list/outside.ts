import { faultsOf, type Mutant } from "../mutants.ts";

const line = "sdk/cli/progress.test.ts";
const lines = "sdk/cli/cli.test.ts";
const clock = "bench/clock.test.ts";
const starts = "bench/bench.test.ts";
const bounds = "conformance/check/check.test.ts";
const ops = "conformance/truth/ops/ops.test.ts";
const sample = "conformance/truth/ops/sample.test.ts";

/** The command, the bench, the proof and what tests use. */
export const OUTSIDE: readonly Mutant[] = [
  ...faultsOf("sdk/cli/progress.ts", line, [
    ["seconds without a second digit", 'padStart(2, "0")', 'padStart(1, "0")'],
    ["hours of minutes", "Math.floor(whole / 60)", "Math.round(whole / 60)"],
    ["kilobytes of 1024", "(n / 1e3).toFixed(1)", "(n / 1024).toFixed(1)"],
    ["megabytes of a thousand megabytes", "n < 999_950_000 ?", "n < 1e12 ?"],
  ]),
  ...faultsOf("sdk/cli/progress.ts", lines, [
    ["the rest of a longer line stays", "text.padEnd(this.#length)", "text"],
    ["a line for every item", "if (now - this.#last < 100) return;", ""],
    ["the oldest text of a log", "this.#text = text;", "this.#text ||= text;"],
  ]),
  ...faultsOf(
    "sdk/cli/progress.ts",
    line,
    [
      [
        "progress stays before what is printed",
        "if (this.#length > 0) this.#output.write(",
        "if (this.#length < 0) this.#output.write(",
      ],
    ],
    { needs: "pty" },
  ),
  ...faultsOf("sdk/cli/science.ts", line, [
    ["tokens for items", "count(done)", "count(tok_per_s)"],
    ["the pace for the time that is left", "duration(eta_s)", "duration(tok_per_s)"],
  ]),
  ...faultsOf("bench/measure.ts", clock, [
    [
      "prefill speed from decode time",
      "median(turns.map((turn) => turn[clock].prefill))",
      "median(turns.map((turn) => turn[clock].decode))",
    ],
    ["the warm-up round counts", "if (round > 0) turns.push(turn);", "turns.push(turn);"],
    [
      "the prompt's time is in the decode's",
      "decode: end[clock] - filled[clock],",
      "decode: end[clock] - start[clock],",
    ],
    ["processor time is the wall's", 'rate(turns, load, "cpu")', 'rate(turns, load, "wall")'],
    ["prompt tokens are counted as new ones", "(1000 * n_decode) /", "(1000 * n_prompt) /"],
  ]),
  ...faultsOf("bench/measure.ts", clock, [
    [
      "the mean of the middle is its lower end",
      "(itemAt(sorted, middle - 1) + itemAt(sorted, middle)) / 2",
      "itemAt(sorted, middle - 1)",
    ],
  ]),
  ...faultsOf("bench/cap_cost.ts", clock, [
    [
      "the cost of caps upside down",
      "return of_capped / (first ?? (await timed(plain)));",
      "return (first ?? (await timed(plain))) / of_capped;",
    ],
    ["the plain one always first", "turn % 2 === 0 ? await", "turn % 2 <= 1 ? await"],
    ["the cost of decode is prefill's", "decode: medianRange(decode)", "decode: medianRange(prefill)"],
    [
      "no cap on the capped one",
      'await ourEngine("capped", "f32", model, hooks)',
      'await ourEngine("capped", "f32", model)',
    ],
  ]),
  ...faultsOf("bench/cold_start.ts", starts, [
    ["the first start counts", "if (round === 0) continue;", ""],
    ["import with the runtime's own start", "round.import - round.empty", "round.import"],
    ["the first token at the process's end", "first: token.first_output_ms", "first: token.elapsed_ms"],
  ]),
  ...faultsOf("bench/webgpu.ts", clock, [
    [
      "prefill speed from decode time",
      "n_prompt / median(prefills)",
      "n_prompt / median(plain.map(({ seconds }) => seconds))",
    ],
    [
      "the cost of caps upside down",
      "seconds / itemAt(plain, i).seconds",
      "itemAt(plain, i).seconds / seconds",
    ],
    [
      "a copy's bandwidth for a read's",
      "bandwidths.map((one) => one.read)",
      "bandwidths.map((one) => one.copy)",
    ],
  ]),
  ...faultsOf("conformance/bounds.ts", bounds, [
    ["bounds a thousand times as wide", "* 2e-6 * (4 + block)", "* 2e-3 * (4 + block)"],
    [
      "NaN is no error",
      "Number.isFinite(ratio) ? ratio : Number.POSITIVE_INFINITY",
      "Number.isFinite(ratio) ? ratio : 0",
    ],
  ]),
  ...faultsOf("conformance/check/index.ts", bounds, [
    ["wrong greedy tokens pass", "passed: greedy.wrong === null, greedy", "passed: true, greedy"],
  ]),
  ...faultsOf("conformance/truth/ops/norm.ts", ops, [
    [
      "eps outside the root",
      "Math.sqrt(squares / values.length + eps)",
      "(Math.sqrt(squares / values.length) + eps)",
    ],
  ]),
  ...faultsOf("conformance/truth/ops/rope.ts", ops, [
    ["turns the other way", "head[first] = a * cos - b * sin;", "head[first] = a * cos + b * sin;"],
  ]),
  ...faultsOf("conformance/truth/ops/sample.ts", sample, [
    ["penalties for what the prompt has", "history.subarray(params.n_prompt)", "history"],
    ["the higher id of a tie", "scores[b]! - scores[a]! || a - b", "scores[b]! - scores[a]! || b - a"],
  ]),
  ...faultsOf("conformance/report/diff.ts", "conformance/report/diff.test.ts", [
    [
      "what fails now is no worse",
      "worse: worse_sites.length > 0 || fails_now.length > 0",
      "worse: worse_sites.length > 0",
    ],
  ]),
  ...faultsOf("testing/faulty.ts", bounds, [
    ["faults are forgotten", "fault.result?.(result, itemAt(batch, i), i)", "void fault.result"],
  ]),
  ...faultsOf("sdk/science/numbers/stats.ts", "testing/checks/examples.test.ts", [
    ["an example is wrong", "25); // 1.75", "25); // 2.25"],
  ]),
  ...faultsOf("sdk/types.ts", "testing/checks/documented.test.ts", [
    [
      "an option without its default",
      "Most tokens of the reply, from 1. Default:",
      "Most tokens of the reply, from 1:",
    ],
  ]),
  ...faultsOf("testing/mutants/mutants.ts", "testing/mutants/list.test.ts", [
    ["an edit that is found nowhere is fine", "if (n_found !== 1)", "if (n_found > 1)"],
  ]),
];
