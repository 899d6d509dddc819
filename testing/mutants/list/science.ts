import { faultsOf, type Mutant } from "../mutants.ts";

const plots = "sdk/science/plots/spec.test.ts";
const defaults = "sdk/science/defaults.test.ts";
const science = "sdk/science/science.test.ts";
const progress = "sdk/science/progress.test.ts";
const use = "sdk/science/use.test.ts";

const damage = "sdk/science/damage.test.ts";

export const SCIENCE: readonly Mutant[] = [
  ...faultsOf("sdk/science/plots/drift.ts", plots, [
    [
      "capped and uncapped curves swapped",
      'pointsOf(drift, "uncapped", drift.uncapped)',
      'pointsOf(drift, "uncapped", drift.capped ?? [])',
    ],
    ["colours of the curves swapped", "[UNCAPPED, CAPPED].slice", "[CAPPED, UNCAPPED].slice"],
    [
      "projections negated",
      "turn: index + 1, projection, kind",
      "turn: index + 1, projection: -projection, kind",
    ],
    ["turns from 0", "turn: index + 1,", "turn: index,"],
    [
      "another conversation's threshold",
      "threshold: drift.threshold }",
      "threshold: Math.abs(drift.layer) }",
    ],
  ]),
  ...faultsOf("sdk/science/plots/persona_space.ts", plots, [
    [
      "PC1 drawn from PC2",
      "const [pc1 = 0, pc2 = 0] = point.coordinates;",
      "const [pc2 = 0, pc1 = 0] = point.coordinates;",
    ],
    [
      "PC1 drawn up",
      'x: { field: "pc1", type: "quantitative", title:',
      'x: { field: "pc2", type: "quantitative", title:',
    ],
    [
      "projections negated",
      "projection, pc1, pc2 };\n}\n\nfunction assistantPlace",
      "projection: -projection, pc1, pc2 };\n}\n\nfunction assistantPlace",
    ],
    ["the threshold at p95", "axis.percentile(layer, 25)", "axis.percentile(layer, 95)"],
    ["the Assistant elsewhere", "axis.defaultProjection(layer)", "-axis.defaultProjection(layer)"],
    ["shares are not summed", "sum += value;", "sum = value;"],
  ]),
  ...faultsOf("sdk/science/plots/evaluation.ts", plots, [
    ["intervals upside down", "[rate.rate, rate.low, rate.high]", "[rate.rate, rate.high, rate.low]"],
    ["shares instead of per cent", "map((x) => 100 * x)", "map((x) => x)"],
    ["the control in the cap's colour", '["control", CONTROL]', '["control", CAPPED]'],
  ]),
  ...faultsOf("sdk/science/collect/collect.ts", defaults, [
    ["temperature 1", "defaults.temperature ?? 0.7", "defaults.temperature ?? 1"],
    ["top_p 0.95", "defaults.top_p ?? 0.9,", "defaults.top_p ?? 0.95,"],
    ["256 tokens", "defaults.max_tokens ?? 512", "defaults.max_tokens ?? 256"],
    [
      "the model's own top-k",
      "top_k: 0, min_p: 0, repetition_penalty: 1 }",
      "min_p: 0, repetition_penalty: 1 }",
    ],
    ["the model's own penalty", "min_p: 0, repetition_penalty: 1 }", "min_p: 0 }"],
  ]),
  ...faultsOf("sdk/science/axis/fit.ts", defaults, [
    ["a role counts from 40 responses", "recipe.min_count ?? 50", "recipe.min_count ?? 40"],
    ["responses half in role count", "?.score === 3", "?.score! >= 2"],
  ]),
  ...faultsOf("sdk/science/axis/fit.ts", science, [
    [
      "the axis points away from the Assistant",
      "subtract(default_vector, mean_role)",
      "subtract(mean_role, default_vector)",
    ],
    ["PC1 is not turned to the Assistant", "k === 0 && along < 0 ?", "k === 0 && along > 0 ?"],
  ]),
  ...faultsOf("sdk/science/layers.ts", defaults, [
    ["23 of 46 layers is read", "n_layers === 46 ? 22 :", "n_layers === 47 ? 22 :"],
  ]),
  ...faultsOf("sdk/science/layers.ts", science, [
    [
      "caps one layer on",
      "Math.round((layer / near.n_layers) * n_layers)",
      "Math.round((layer / near.n_layers) * n_layers) + 1",
    ],
  ]),
  ...faultsOf("sdk/science/tensor_file.ts", damage, [
    ["a changed file is read", "if (found === written) return;", "if (found.length > 0) return;"],
  ]),
  ...faultsOf("sdk/science/content_digest.ts", "sdk/science/content_digest.test.ts", [
    ["shapes are no part of a digest", 'add(name, dtype, shape.join(","));', "add(name, dtype);"],
  ]),
  ...faultsOf("sdk/science/caps/check_caps.ts", damage, [
    ["floors above ceilings", "&& floor <= ceiling", ""],
    ["layers twice", "if (!areLayers(layers, n_layers))", "if (layers.length === 0)"],
  ]),
  ...faultsOf("sdk/science/caps/caps.ts", defaults, [
    ["caps at percentile 75", "recipe?.percentile ?? 25", "recipe?.percentile ?? 75"],
  ]),
  ...faultsOf("sdk/science/project/project.ts", defaults, [
    ["alerts below percentile 50", "axis.percentile(layer, 25)", "axis.percentile(layer, 50)"],
  ]),
  ...faultsOf("sdk/science/project/turns.ts", use, [
    ["alerts by rounding", "mean < threshold - rounding(threshold)", "mean < threshold"],
  ]),
  ...faultsOf("sdk/science/project/reading.ts", use, [
    ["the axis's layer in any case", "acting.size === 0 || first <= wanted", "first >= 0"],
    ["the first capped layer", "axis.layers.findLast(", "axis.layers.find("],
    ["readings count as hooks", 'hook.kind !== "project"', 'hook.kind !== "cap?"'],
  ]),
  ...faultsOf("sdk/science/project/drift.ts", defaults, [
    [
      "a threshold at percentile 50",
      "threshold: axis.percentile(layer, 25)",
      "threshold: axis.percentile(layer, 50)",
    ],
  ]),
  ...faultsOf("sdk/science/project/windows.ts", "sdk/science/project/windows.test.ts", [
    ["the past takes the whole window", "size(at) <= limit / 2", "size(at) <= limit"],
  ]),
  ...faultsOf("sdk/science/judge/endpoint_options.ts", defaults, [
    ["a greedy judge", "temperature: 1,\n  max_tokens: 10,", "temperature: 0,\n  max_tokens: 10,"],
  ]),
  ...faultsOf("sdk/science/judge/rules.ts", "sdk/science/judge/rules.test.ts", [
    ["the shortest marker counts", "b.length - a.length", "a.length - b.length"],
    ["a refusal is half in role", "return { score: 0 };", "return { score: 1 };"],
  ]),
  ...faultsOf("sdk/science/judge/prompt.ts", "sdk/science/judge/prompt.test.ts", [
    ["scores above 3 count", "value <= 3 ? value", "value <= 4 ? value"],
    ["what a judge thinks counts", '.replace(/^\\s*<think>[\\s\\S]*?(?:<\\/think>|$)/, "")', ""],
  ]),
  ...faultsOf("sdk/science/judge/pace.ts", "sdk/science/judge/endpoint.test.ts", [
    ["a rate has no effect", "this.#gap = 1000 / rate;", "this.#gap = 0 / rate;"],
  ]),
  ...faultsOf("sdk/science/evaluate/rates.ts", "sdk/science/evaluate/evaluate.test.ts", [
    ["what has no score failed", ".filter(({ passed }) => passed !== null);", ".filter(() => true);"],
    ["the two of a pair swapped", "was === true && is === false", "was !== true && is !== false"],
  ]),
  ...faultsOf("sdk/science/evaluate/answer.ts", defaults, [
    ["evaluations draw at random", "const greedy = { temperature: 0,", "const greedy = { temperature: 0.7,"],
  ]),
  ...faultsOf("sdk/science/evaluate/checks.ts", "sdk/science/evaluate/checks.test.ts", [
    ["a number among others is the only one", "numbers.size === 1 && numbers.has", "numbers.has"],
  ]),
  ...faultsOf("sdk/science/numbers/stats.ts", "sdk/science/numbers/stats.test.ts", [
    ["percentiles are not interpolated", "const share = at - below;", "const share = 0 * (at - below);"],
    [
      "normal intervals at the ends",
      "Math.sqrt((rate * (1 - rate)) / n + z2 / (4 * n * n))",
      "Math.sqrt((rate * (1 - rate)) / n)",
    ],
  ]),
  ...faultsOf("sdk/science/axis/pca.ts", "sdk/science/axis/pca.test.ts", [
    ["components by rising variance", "b.value - a.value", "a.value - b.value"],
  ]),
  ...faultsOf("sdk/science/run/lines.ts", "sdk/science/run/run.test.ts", [
    [
      "damaged lines count",
      "crc32(body) !== sum[1]) return undefined;",
      "crc32(body) === sum[1]) return JSON.parse(body) as object;",
    ],
  ]),
  ...faultsOf("sdk/science/recipe/model_name.ts", "sdk/science/collect/collect.test.ts", [
    ["a model's whole name", 'return last.split("-")[0] || last;', "return last;"],
  ]),
  ...faultsOf("sdk/science/progress.ts", progress, [
    [
      "what was done before makes the pace",
      "const fresh = this.#done - this.#resumed;",
      "const fresh = this.#done;",
    ],
    [
      "the time so far is what is left",
      "((this.#total - this.#done) * seconds) / fresh",
      "(this.#done * seconds) / fresh",
    ],
    ["the first of many at once makes the pace", "fresh >= this.#at_once ?", "fresh >= 1 ?"],
    [
      "milliseconds for seconds",
      "(performance.now() - this.#began) / 1000",
      "performance.now() - this.#began",
    ],
  ]),
];
