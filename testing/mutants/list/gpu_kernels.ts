import { faultsOf, type Mutant } from "../mutants.ts";

/** Faults in WGSL: claims of the device contract have to notice them, on a Vulkan in software. */
const tests = "gpu/ops/kernels.test.ts";
const needs = { needs: "vulkan" } as const;

export const GPU_KERNELS: readonly Mutant[] = [
  ...faultsOf(
    "gpu/ops/accumulate/accumulate.wgsl.ts",
    tests,
    [["a step's sum takes the place of those before", "+ i] += sum;", "+ i] = sum;"]],
    needs,
  ),
  ...faultsOf(
    "gpu/ops/attention/attention.wgsl.ts",
    tests,
    [
      ["a window is a position too wide", "p + op.window > own", "p + op.window >= own"],
      ["what was kept before does not shrink", "var total = sums[m] * factor;", "var total = sums[m];"],
      ["scores are capped without their scale", "tanh_exact(score / op.softcap)", "tanh_exact(score)"],
    ],
    needs,
  ),
  ...faultsOf(
    "gpu/ops/experts/experts.wgsl.ts",
    tests,
    [["experts have equal shares", "route_share(TOP_K * row + k)", "1.0 / f32(TOP_K)"]],
    needs,
  ),
  ...faultsOf(
    "gpu/ops/matmul/matvec.wgsl.ts",
    tests,
    [["rows of a few are all the first one's", "min(first_input + $n,", "min(first_input,"]],
    needs,
  ),
  ...faultsOf(
    "gpu/ops/matmul/matmat.wgsl.ts",
    tests,
    [
      [
        "two inputs of a block change places",
        "vec4<f32>(given_0[$c], given_1[$c], given_2[$c]",
        "vec4<f32>(given_0[$c], given_2[$c], given_1[$c]",
      ],
    ],
    needs,
  ),
  ...faultsOf(
    "gpu/ops/matmul/write.ts",
    tests,
    [["a gate's bias is looked up among pairs", "(whole % 2u) * (op.rows / 2u) + whole / 2u", "whole"]],
    needs,
  ),
  ...faultsOf(
    "gpu/ops/norm/norm.wgsl.ts",
    tests,
    [["gathered rows are the first ones", "batch[step.gathered_at + group.x]", "group.x"]],
    needs,
  ),
  ...faultsOf(
    "gpu/ops/residual/residual.wgsl.ts",
    tests,
    [["the third site of an add is passed over", "n < 3u", "n < 2u"]],
    needs,
  ),
  ...faultsOf(
    "gpu/ops/rope_append/rope_append.wgsl.ts",
    tests,
    [
      [
        "pairs side by side are rotated as halves",
        "let second = first + 1u;",
        "let second = first + op.half;",
      ],
      ["q shrinks with its position", "factor += op.q_beta", "factor -= op.q_beta"],
    ],
    needs,
  ),
  ...faultsOf(
    "gpu/ops/sample/sample.wgsl.ts",
    tests,
    [
      ["top_p is of what lies above the highest", "let wanted = top_p * mass;", "let wanted = top_p;"],
      ["min_p keeps all", "weight <= 0.0 || weight < min_p", "weight <= 0.0"],
      ["a frequency is counted once", "f32(count) * sample_frequency_penalty", "sample_frequency_penalty"],
    ],
    needs,
  ),
];
