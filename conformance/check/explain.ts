import { itemAt, present } from "../../models/certain.ts";
import {
  allSites,
  type BufferName,
  buildProgram,
  CapstanError,
  type Hook,
  isQuantised,
  type Op,
  type Program,
  type Site,
  siteName,
  type WeightId,
} from "../../models/index.ts";
import { readModelConfig } from "../../sdk/checkpoint/weights/index.ts";
import { loadOn } from "../../sdk/inference/load.ts";
import type { FileSource, LoadOptions, Model } from "../../sdk/types.ts";
import { relativeBound, worstRow } from "../bounds.ts";
import { createTruthDevice } from "../truth/index.ts";
import type { Computed, Made } from "./compare.ts";
import { runPass } from "./passes.ts";
import type { Reference } from "./reference.ts";
import type { DivergedSite, Divergence, Pass } from "./report.ts";

/** What is to be explained: a pass of a run, on the model that ran it. */
export interface Asked {
  model: Model;
  made: Made;
  run: string;
  pass: Pass;
  reference: Reference;
  signal: AbortSignal | undefined;
}

/**
 * Runs the same tokens under the same hooks on the f64 truth (with weights quantised as the device's are), and finds the
 * first site in the order of a forward pass (all kinds, then the logits) whose worst row is further from the truth than
 * its bound. What keeps the truth from running is reported, and the report is not lost.
 */
export async function explain(files: FileSource, asked: Asked): Promise<Divergence> {
  try {
    return await explainPass(files, asked);
  } catch (error) {
    if (asked.signal?.aborted || !(error instanceof CapstanError || error instanceof RangeError)) throw error;
    return { run: asked.run, pass: asked.pass, unknown: error.message };
  }
}

async function explainPass(files: FileSource, asked: Asked): Promise<Divergence> {
  const { model, made, run, pass, reference, signal } = asked;
  const sites = allSites(model.spec);
  const got = await runPass(model, pass, reference, signal, sites);
  const truth = await runTruth(files, asked, sites);
  const { decoder } = await readModelConfig(files);
  const program = buildProgram({ ...decoder, spec: model.spec });
  const n_tokens = reference.tokens.length;
  let before: DivergedSite["before"] = null;
  for (const site of [...sites, "logits"] as const) {
    const [expected, found] = [valuesAt(truth, site), valuesAt(got, site)];
    const { row: token, ...error } = worstRow(expected, found, expected.length / n_tokens);
    const layer = site === "logits" ? model.spec.n_layers : Number(site.split(".")[1]);
    const bound = relativeBound(made.kind, made.dtype, layer);
    if (!(error.relative_error <= bound)) {
      return {
        run,
        pass,
        first: { site, token, ...error, bound, before, ops: opsBefore(program, site, reference.hooks) },
      };
    }
    before = { site, relative_error: error.relative_error };
  }
  return { run, pass, first: null };
}

function valuesAt({ captures, logits }: Computed, site: Site | "logits"): Float32Array {
  return site === "logits" ? logits : present(captures[site], site);
}

async function runTruth(
  files: FileSource,
  { model, made, pass, reference, signal }: Asked,
  sites: readonly Site[],
): Promise<Computed> {
  const options: LoadOptions = {
    n_ctx: model.n_ctx,
    ...(isQuantised(made.dtype) ? { dtype: made.dtype } : {}),
    ...(signal === undefined ? {} : { signal }),
  };
  const truth = await loadOn(files, options, async () => createTruthDevice());
  try {
    return await runPass(truth, pass, reference, signal, sites);
  } finally {
    await truth.dispose();
  }
}

/** The ops between a site and the one before it, in words, with the tensors that they read. */
function opsBefore(program: Program, site: Site | "logits", hooks: readonly Hook[]): string[] {
  let ops: Op[] = [];
  const hooked = hooks.some((hook) => hook.site === site) ? [`hooks of ${site}`] : [];
  const named_ops = () => [...ops.map((op) => describeOp(program, op)), ...hooked];
  for (const op of program.ops) {
    let later: Op[] = [];
    if (op.op === "residual_add") {
      // What comes after delta is written is the next add's: a parallel MLP's norm reads h before this one.
      later = ops.splice(1 + ops.findLastIndex((other) => outOf(other) === op.in));
      if (siteName(op.in_site) === site)
        return op.scale === 1 ? named_ops() : [...named_ops(), "residual_add (its scale)"];
      ops = [];
    }
    ops.push(op);
    if (!("sites" in op)) continue;
    for (const id of op.sites) {
      if (siteName(id) === site) return named_ops();
      ops = [];
    }
    ops = later;
  }
  return named_ops();
}

function outOf(op: Op): BufferName | null {
  return "out" in op ? op.out : null;
}

function describeOp({ weights }: Program, op: Op): string {
  const ids: WeightId[] = [];
  for (const name of ["weight", "bias", "positions", "q_norm", "k_norm", "gate_up", "down"] as const) {
    const value = (op as Partial<Record<typeof name, unknown>>)[name];
    if (typeof value === "number") ids.push(value);
  }
  const tensors = ids.flatMap((id) => itemAt(weights, id).parts.map((part) => part.name));
  const [first, ...more] = new Set(tensors);
  if (first === undefined) return op.op;
  return `${op.op} (${more.length > 3 ? `${first} and ${more.length} more` : [first, ...more].join(", ")})`;
}
