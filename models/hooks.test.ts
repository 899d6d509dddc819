import { describe, expect, test } from "vitest";
import {
  allSites,
  buildProgram,
  CapstanError,
  expandSites,
  type Hook,
  planHooks,
  readDecoder,
  siteId,
  siteName,
} from "./index.ts";

const decoder = readDecoder({
  model_type: "llama",
  hidden_size: 4,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 8,
  vocab_size: 16,
});
const { spec } = decoder;

/** The golden list: every site of two layers, in the order a forward pass meets them. */
const SITES = [
  "blocks.0.hook_resid_pre",
  "blocks.0.hook_attn_out",
  "blocks.0.hook_resid_mid",
  "blocks.0.hook_mlp_out",
  "blocks.0.hook_resid_post",
  "blocks.1.hook_resid_pre",
  "blocks.1.hook_attn_out",
  "blocks.1.hook_resid_mid",
  "blocks.1.hook_mlp_out",
  "blocks.1.hook_resid_post",
];

describe("sites of parallel blocks", () => {
  const parallel = { ...spec, block: "parallel" as const };
  test("have nothing between attention and MLP", () => {
    expect(allSites(parallel)).toEqual(SITES.filter((site) => !site.endsWith("hook_resid_mid")));
    expect(siteId(parallel, "blocks.1.hook_resid_post")).toBe(9);
    expect(() => siteId(parallel, "blocks.0.hook_resid_mid")).toThrow(
      "need a site blocks.{0..1}.{hook_resid_pre | ",
    );
    expect(() => expandSites(parallel, ["blocks.*.hook_resid_mid"])).toThrow(CapstanError);
  });
});

describe("sites", () => {
  test("are numbered in the order of a forward pass", () => {
    expect(allSites(spec)).toEqual(SITES);
    for (const [id, site] of SITES.entries()) {
      expect(siteId(spec, site)).toBe(id);
      expect(siteName(id)).toBe(site);
    }
  });

  test("are all met by the program, in that order", () => {
    const met = buildProgram(decoder).ops.flatMap((op) => {
      if (op.op === "embed") return op.sites;
      return op.op === "residual_add" ? [op.in_site, ...op.sites] : [];
    });
    expect(met.map(siteName)).toEqual(SITES);
  });

  test.each([
    [["blocks.*.hook_resid_post"], ["blocks.0.hook_resid_post", "blocks.1.hook_resid_post"]],
    [["blocks.1.*"], SITES.slice(5)],
    [["blocks.*.*"], SITES],
    [["*.*.*"], SITES],
    [
      ["blocks.1.hook_mlp_out", "blocks.0.hook_*_out", "blocks.1.*_out"],
      [SITES[1], SITES[3], SITES[6], SITES[8]],
    ],
    [[], []],
  ])("named by %j", (patterns, sites) => {
    expect(expandSites(spec, patterns)).toEqual(sites);
  });

  test.each([
    "blocks.2.hook_resid_post",
    "blocks.*.hook_nothing",
    "",
    "*",
    "blocks.0x.hook_resid_pre",
    "blocks.01.hook_resid_pre",
  ])("are not named by %j", (pattern) => {
    expect(() => expandSites(spec, [pattern])).toThrow(
      expect.objectContaining({ code: "bad_hook", message: expect.stringContaining("blocks.{0..1}") }),
    );
  });
});

describe("the program", () => {
  test("runs these ops", () => {
    const layer = [
      ...["norm", "matmul", "rope", "kv_append", "attention", "matmul", "residual_add"],
      ...["norm", "matmul", "gated_act", "matmul", "residual_add"],
    ];
    const ops = buildProgram(decoder).ops.map(({ op }) => op);
    expect(ops).toEqual(["embed", ...layer, ...layer, "gather", "norm", "logits", "sample"]);
  });

  test("writes every buffer before it reads it, in widths that fit", () => {
    const program = buildProgram(decoder);
    const written = new Set<string>();
    for (const op of program.ops) {
      if ("in" in op) expect(written, `${op.op} reads ${op.in}`).toContain(op.in);
      if ("out" in op) written.add(op.out);
      if (op.op !== "matmul" && op.op !== "logits") continue;
      const slot = program.weights[op.weight]!;
      expect([slot.cols, slot.rows]).toEqual([program.buffers[op.in], program.buffers[op.out]]);
    }
  });

  test("is plain data", () => {
    const program = buildProgram(decoder);
    expect(JSON.parse(JSON.stringify(program))).toEqual(program);
  });
});

describe("hooks", () => {
  const site = "blocks.1.hook_resid_post";
  const vector = Float32Array.of(0, 3, 0, 4);

  test("come to the forms that a device runs, directions of unit length, in order", () => {
    const mean = Float32Array.of(1, 1, 1, 1);
    const plan = planHooks(spec, [
      { kind: "cap", site, vector, floor: -1 },
      { kind: "cap", site, vector, floor: 0, ceiling: 2, positions: "last" },
      { kind: "project", site, vector },
      { kind: "project", site: "blocks.0.hook_attn_out", vector, name: "axis" },
      { kind: "add", site, vector, coefficient: 2 },
      { kind: "add", site, vector },
      { kind: "ablate", site, vector },
      { kind: "ablate", site, vector, coefficient: -1 },
      { kind: "mean_ablate", site, vector, mean },
    ]);
    const direction = Float32Array.of(0, 0.6, 0, 0.8);
    const at = { site: 9, positions: "all" };
    expect(plan.hooks).toEqual([
      { op: "clamp", ...at, direction, floor: -1, ceiling: Number.POSITIVE_INFINITY },
      { op: "clamp", site: 9, positions: "last", direction, floor: 0, ceiling: 2 },
      { op: "project", site: 9, direction, output: 0 },
      { op: "project", site: 1, direction, output: 1 },
      { op: "shift", ...at, delta: Float32Array.of(0, 6, 0, 8) },
      { op: "shift", ...at, delta: vector },
      { op: "remove", ...at, direction, delta: null },
      { op: "remove", ...at, direction, delta: Float32Array.of(-0, -3, -0, -4) },
      { op: "remove", ...at, direction, delta: mean },
    ]);
    expect(plan.projection_names).toEqual([site, "axis"]);
    expect(plan.acts_on_last).toBe(true);
  });

  test("that only read intervene in nothing", () => {
    const plan = planHooks(spec, [{ kind: "project", site, vector }]);
    expect(plan.acts_on_last).toBe(false);
    expect(planHooks(spec, [])).toEqual({
      hooks: [],
      projection_names: [],
      named_caps: [],
      acts_on_last: false,
    });
  });

  test("that read give each reading a name of its own", () => {
    const at = (n: number) => `blocks.${n}.hook_resid_post` as const;
    const plan = planHooks(spec, [
      { kind: "project", site: at(0), vector },
      { kind: "project", site: at(0), vector },
      { kind: "project", site: at(1), vector, name: `${at(0)}#3` },
      { kind: "cap", site: at(1), vector, floor: 1, name: "a cap" },
      { kind: "project", site: at(0), vector },
      { kind: "project", site: at(1), vector, name: null as unknown as string },
    ]);
    const names = [at(0), `${at(0)}#2`, `${at(0)}#3`, "a cap", `${at(0)}#4`, at(1)];
    expect(plan.projection_names).toEqual(names);
    const outputs = plan.hooks.flatMap((hook) => (hook.op === "project" ? [hook.output] : []));
    expect(outputs).toEqual([0, 1, 2, 3, 4, 5]);
    const twice = [{ kind: "project", site: at(0), vector, name: "x" } as const];
    expect(() => planHooks(spec, [...twice, ...twice])).toThrow(
      'need a name that no other reading has, found "x"',
    );
  });

  test("a named cap reads the projection before it acts", () => {
    const plan = planHooks(spec, [{ kind: "cap", site, vector, floor: 1, ceiling: 3, name: "cap" }]);
    expect(plan.hooks.map(({ op }) => op)).toEqual(["project", "clamp"]);
    expect(plan.named_caps).toEqual([{ name: "cap", floor: 1, ceiling: 3 }]);
  });

  test.each([
    [
      "a vector of another length",
      { kind: "add", site, vector: new Float32Array(3).fill(1) },
      "vector [4], found [3]",
    ],
    ["a list for a vector", { kind: "add", site, vector: [1, 2, 3, 4] }, "vector as a Float32Array"],
    ["a zero vector", { kind: "ablate", site, vector: new Float32Array(4) }, "all zeros"],
    ["NaN in it", { kind: "cap", site, vector: Float32Array.of(1, Number.NaN, 0, 0), floor: 0 }, "finite"],
    ["infinity in it", { kind: "project", site, vector: Float32Array.of(Infinity, 1, 0, 0) }, "finite"],
    ["neither floor nor ceiling", { kind: "cap", site, vector }, "a floor, a ceiling or both"],
    ["floor above ceiling", { kind: "cap", site, vector, floor: 1, ceiling: 0 }, "floor 1, ceiling 0"],
    [
      "a floor of NaN",
      { kind: "cap", site, vector, floor: Number.NaN },
      "floor as a number that float32 holds, found NaN",
    ],
    ["a floor beyond float32", { kind: "cap", site, vector, floor: 1e300 }, "found 1e+300"],
    ["a ceiling beyond float32", { kind: "cap", site, vector, ceiling: -1e39 }, "ceiling as a number"],
    ["a floor as text", { kind: "cap", site, vector, floor: "1" }, 'found "1"'],
    [
      "a coefficient of infinity",
      { kind: "add", site, vector, coefficient: Infinity },
      "coefficient as a number that float32 holds",
    ],
    [
      "a mean of another length",
      { kind: "mean_ablate", site, vector, mean: new Float32Array(5) },
      "mean [4]",
    ],
    ["no mean", { kind: "mean_ablate", site, vector }, "mean as a Float32Array"],
    ["an unknown layer", { kind: "add", site: "blocks.2.hook_resid_post", vector }, "blocks.{0..1}"],
    ["an unknown site", { kind: "add", site: "blocks.0.hook_q", vector }, "hook_resid_pre | "],
    [
      "an intervention off the residual stream",
      { kind: "add", site: "blocks.0.hook_mlp_out", vector },
      "residual site",
    ],
    [
      "unknown positions",
      { kind: "add", site, vector, positions: "first" },
      '"all" or "last", found "first"',
    ],
    [
      "a field of another kind",
      { kind: "add", site, vector, floor: 1 },
      "only kind, site, vector, coefficient",
    ],
    ["a misspelt field", { kind: "cap", site, vector, flor: 1, floor: 1 }, 'found "flor"'],
    ["a name that is none", { kind: "project", site, vector, name: "" }, "a name of some characters"],
    ["a site that is no text", { kind: "add", site: { layer: 1 }, vector }, 'found {"layer":1}'],
    ["nothing", null, "a hook { kind, site, vector, ... }, found null"],
    ["a list", [], "found []"],
    ["an unknown kind", { kind: "boost", site, vector }, 'found "boost"'],
  ])("are refused for %s", (_, hook, text) => {
    const plan = () => planHooks(spec, [{ kind: "project", site, vector }, hook as unknown as Hook]);
    expect(plan).toThrow(CapstanError);
    expect(plan).toThrow(
      expect.objectContaining({ code: "bad_hook", message: expect.stringContaining(text) }),
    );
    expect(plan).toThrow("use hook 1");
  });
});
