import { present } from "../../models/certain.ts";
import { isQuantised } from "../../models/index.ts";
import { resolveSource } from "../../sdk/checkpoint/source/index.ts";
import { runtimeName } from "../../sdk/platform/index.ts";
import type { FileSource, Model } from "../../sdk/types.ts";
import { relativeBound } from "../bounds.ts";
import { type Case, type CaseRun, readCase } from "./case.ts";
import { compareGreedy, compareRun, type Made, worstOf } from "./compare.ts";
import { explain } from "./explain.ts";
import { loadCase, loadOptions, type OpenOptions } from "./open.ts";
import { madeIn, runGenerate, runPass, whyNot } from "./passes.ts";
import { QuantisedTruth, worstLoss } from "./quantised.ts";
import { type Reference, readReference } from "./reference.ts";
import type { CaseReport, Divergence, GenerateReport, Pass, QuantisationLoss } from "./report.ts";

/** How a case is checked. */
export interface CheckOptions extends OpenOptions {
  /**
   * Whether to run the f64 truth beside the device (slow) and name the first site that errs and the ops before it:
   * of the first pass that failed, or `always` of the worst one. Default: failed.
   */
  explain?: "failed" | "always" | "never";
  /** Called as each pass of a run begins; `truth` is the f64 truth's, with q8 and q4. Default: none. */
  on_progress?: (progress: { case: string; run: string; pass: Pass | "generate" | "truth" }) => void;
}

/**
 * Holds a device to a reference case: every site of every layer, the logits and the greedy tokens of every run,
 * in prefill and step by step, and what `generate` writes. With dtype q8 or q4 to what the f64 truth makes of the
 * case with weights quantised alike; what quantising itself costs is reported beside it, and not judged.
 *
 * @param source a case's folder, or a file source (REFERENCE-CASE gives the format)
 * @returns a report: `passed` says whether all rows are within their bounds (DESIGN, section 5)
 * @throws CapstanError `not_found`, `bad_file`, `bad_config`, `bad_weights`, `bad_hook` for a case that cannot be
 *   read; `non_finite`, `out_of_memory` where the device cannot run it; `aborted`
 * @example
 * const report = await checkCase("conformance/reference/qwen3-tied", { device: "wasm" });
 * if (!report.passed) console.log(report.worst);
 */
export async function checkCase(
  source: string | FileSource,
  options: CheckOptions = {},
): Promise<CaseReport> {
  const { files } = await resolveSource(source);
  const found = await readCase(files, typeof source === "string" ? source : "a reference case");
  const model = await loadCase(files, found, options);
  let truth: QuantisedTruth | null = null;
  try {
    const dtype = options.dtype ?? "auto";
    if (isQuantised(dtype)) truth = await QuantisedTruth.load(files, dtype, loadOptions(found, options));
    const made: Made = { kind: model.device.kind, dtype };
    return await checkRuns({ files, found, model, truth, made, options });
  } finally {
    await truth?.dispose();
    await model.dispose();
  }
}

/** Checks cases one after the other, giving each report as it is done. */
export async function* checkCases(
  sources: Iterable<string | FileSource>,
  options: CheckOptions = {},
): AsyncGenerator<CaseReport, void, undefined> {
  for (const source of sources) yield await checkCase(source, options);
}

/** A case, what is checked on it and what judges. */
interface Opened {
  files: FileSource;
  found: Case;
  model: Model;
  /** Judges in the reference's place, where weights are quantised. */
  truth: QuantisedTruth | null;
  made: Made;
  options: CheckOptions;
}

async function checkRuns(opened: Opened): Promise<CaseReport> {
  const { files, found, model, truth, made, options } = opened;
  const report: Parts = { runs: [], generated: [], skipped: [] };
  const losses: QuantisationLoss[] = [];
  for (const run of found.runs) {
    const reference = await readReference(files, run, model.spec);
    await checkRun(opened, run, await heldTo(opened, run, reference), report);
    if (truth !== null) losses.push(await truth.lossOf(run.name, reference, madeIn(run), options.signal));
  }
  const worst = worstOf(report.runs.map(({ name, pass, worst }) => ({ ...worst, name, pass })));
  const asked = whichToExplain(report, worst, options.explain ?? "failed");
  const { kind, description } = model.device;
  return {
    case: found.name,
    architecture: model.spec.family,
    passed: [...report.runs, ...report.generated].every(({ passed }) => passed),
    device: { kind, description },
    runtime: runtimeName(),
    dtype: made.dtype,
    ...report,
    divergence: asked === null ? null : await explainRun(opened, asked),
    quantisation: worstLoss(losses),
    worst,
  };
}

type RunPass = Pick<CaseReport["worst"], "name" | "pass">;

function whichToExplain(
  { runs, generated }: Parts,
  worst: RunPass,
  when: NonNullable<CheckOptions["explain"]>,
): RunPass | null {
  if (when === "never") return null;
  const failed = runs.find(({ passed }) => !passed);
  if (failed !== undefined) return failed;
  // What generate wrote is computed step by step.
  const wrong = generated.find(({ passed }) => !passed);
  if (wrong !== undefined) return { name: wrong.name, pass: "stepwise" };
  return when === "always" ? worst : null;
}

async function explainRun(opened: Opened, { name, pass }: RunPass): Promise<Divergence> {
  const { files, found, model, made, options } = opened;
  const run = present(
    found.runs.find((one) => one.name === name),
    `a run ${name}`,
  );
  const reference = await heldTo(opened, run, await readReference(files, run, model.spec));
  return await explain(files, { model, made, run: name, pass, reference, signal: options.signal });
}

type Parts = Pick<CaseReport, "runs" | "generated" | "skipped">;

/** What a run is held to: its reference, or what the truth makes of it. */
async function heldTo(
  { found, truth, options: { signal, on_progress } }: Opened,
  run: CaseRun,
  reference: Reference,
): Promise<Reference> {
  if (truth === null) return reference;
  on_progress?.({ case: found.name, run: run.name, pass: "truth" });
  return await truth.remake(reference, madeIn(run), signal);
}

async function checkRun(
  { found, model, made, options: { signal, on_progress } }: Opened,
  run: CaseRun,
  reference: Reference,
  report: Parts,
): Promise<void> {
  for (const pass of ["prefill", "stepwise"] as const) {
    const reason = whyNot(run, pass);
    if (reason !== null) {
      report.skipped.push({ name: run.name, pass, reason });
      continue;
    }
    on_progress?.({ case: found.name, run: run.name, pass });
    const computed = await runPass(model, pass, reference, signal);
    report.runs.push(compareRun(run.name, pass, reference, computed, made));
  }
  if (!run.passes.includes("stepwise")) return;
  on_progress?.({ case: found.name, run: run.name, pass: "generate" });
  const tokens = await runGenerate(model, reference, signal);
  report.generated.push(judgeGenerated(run.name, reference, tokens, made));
}

function judgeGenerated(
  name: string,
  reference: Reference,
  tokens: Int32Array,
  { kind, dtype }: Made,
): GenerateReport {
  const bound = relativeBound(kind, dtype, reference.n_layers);
  const greedy = compareGreedy(reference, bound, (token) => tokens[token - reference.n_prompt], "stop");
  return { name, passed: greedy.wrong === null, greedy };
}
