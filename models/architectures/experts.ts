import type { ConfigReader } from "../config.ts";
import type { ExpertsSpec, ExpertTensors } from "../spec.ts";
import { matrix, repeat } from "./common.ts";

/** The most experts that a model is believed to have in all: each has tensors of its own in the table. */
const MOST_EXPERTS = 2 ** 17;

/** A family's defaults, and what its config says of itself. */
export interface ExpertsDefaults {
  n_experts: number;
  top_k: number;
  /** Width of one expert. */
  d_expert: number;
  renormalise: boolean;
}

/** How many experts a layer has and how a token takes some: `num_experts` or, newly saved, `num_local_experts`. */
export function readExperts(config: ConfigReader, n_layers: number, defaults: ExpertsDefaults): ExpertsSpec {
  const { d_expert, renormalise } = defaults;
  const field = config.has("num_experts") ? "num_experts" : "num_local_experts";
  const n_experts = config.int(field, defaults.n_experts, 1, Math.floor(MOST_EXPERTS / n_layers));
  const top_k = config.int("num_experts_per_tok", defaults.top_k);
  if (top_k > n_experts) config.refuse("num_experts_per_tok", top_k, `at most ${n_experts}`);
  return { n_experts, top_k, d_expert, renormalise };
}

/** What the router and the three matrices of an expert are called. */
export interface ExpertNames {
  router: string;
  gate: string;
  up: string;
  down: string;
}

const NAMES: ExpertNames = { router: "gate", gate: "gate_proj", up: "up_proj", down: "down_proj" };

/** Experts that have tensors of their own, `{name}.experts.{e}.{gate}`. */
export function expertTensors(
  name: string,
  d_model: number,
  { n_experts, d_expert }: ExpertsSpec,
  names: ExpertNames = NAMES,
): ExpertTensors {
  const expert = (e: number, part: string, rows: number, cols: number) =>
    matrix(`${name}.experts.${e}.${part}`, rows, cols);
  return {
    router: matrix(`${name}.${names.router}`, n_experts, d_model),
    in: repeat(n_experts, (e) =>
      [names.gate, names.up].map((part) => expert(e, part, d_expert, d_model)),
    ).flat(),
    out: repeat(n_experts, (e) => expert(e, names.down, d_model, d_expert)),
  };
}
