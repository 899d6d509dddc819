import { itemAt, present } from "../../models/certain.ts";
import type { Site } from "../../models/index.ts";
import { resolveSource } from "../../sdk/checkpoint/source/index.ts";
import { runtimeName } from "../../sdk/platform/index.ts";
import type { FileSource, Model } from "../../sdk/types.ts";
import { type Case, readCase } from "../check/case.ts";
import type { Computed } from "../check/compare.ts";
import { loadCase, type OpenOptions } from "../check/open.ts";
import { madeIn, runPass, whyNot } from "../check/passes.ts";
import { type Reference, readReference } from "../check/reference.ts";
import type { Pass } from "../check/report.ts";
import { type CaseDistance, Rows } from "./distance.ts";

export interface DistanceOptions extends Pick<OpenOptions, "device" | "signal"> {
  /** Called as a model begins a run; `truth` is the f64 truth's pass. */
  on_progress?: (progress: { case: string; run: string; pass: Pass | "truth" }) => void;
}

/** A case's distance, and what it was measured on. */
export interface Measured {
  distance: CaseDistance;
  device: { kind: string; description: string };
  /** `node 20.20.2`, `deno 2.9.5` */
  runtime: string;
}

/**
 * Measures how far a device is from float64, beside transformers' own float32: every row (site and token) of every run
 * of a reference case, and of both passes of the device where the reference says something of both. A row's error is
 * its relative L2 distance from the f64 truth over the same tokens under the same hooks; the truth's rows are rounded to
 * float32, so that an error of half a unit in the last place counts as none. Weights are kept as the file has them.
 *
 * @param source a case's folder, or a file source (`conformance/reference/README.md` gives the format)
 * @throws CapstanError as `checkCase` does
 */
export async function measureCase(
  source: string | FileSource,
  { device, signal, on_progress }: DistanceOptions = {},
): Promise<Measured> {
  const { files } = await resolveSource(source);
  const found = await readCase(files, typeof source === "string" ? source : "a reference case");
  const options: OpenOptions = signal === undefined ? {} : { signal };
  const truths: { reference: Reference; truth: Computed }[] = [];
  // One after the other: a large model's weights in f64 and on the device are not in memory together.
  await withModel(files, found, { ...options, device: "truth" }, async (model) => {
    for (const run of found.runs) {
      on_progress?.({ case: found.name, run: run.name, pass: "truth" });
      const reference = await readReference(files, run, model.spec);
      truths.push({ reference, truth: await runPass(model, madeIn(run), reference, signal) });
    }
  });
  const rows = new Rows();
  const on = device === undefined ? options : { ...options, device };
  return await withModel(files, found, on, async (model) => {
    for (const [i, run] of found.runs.entries()) {
      const { reference, truth } = itemAt(truths, i);
      for (const pass of ["prefill", "stepwise"] as const) {
        if (whyNot(run, pass) !== null) continue;
        on_progress?.({ case: found.name, run: run.name, pass });
        addPass(rows, reference, truth, await runPass(model, pass, reference, signal));
      }
    }
    const { kind, description } = model.device;
    return {
      distance: { case: found.name, architecture: model.spec.family, ...rows.distance() },
      device: { kind, description },
      runtime: runtimeName(),
    };
  });
}

async function withModel<T>(
  files: FileSource,
  found: Case,
  options: OpenOptions,
  use: (model: Model) => Promise<T>,
): Promise<T> {
  const model = await loadCase(files, found, options);
  try {
    return await use(model);
  } finally {
    await model.dispose();
  }
}

function addPass(rows: Rows, reference: Reference, truth: Computed, got: Computed): void {
  const n_tokens = reference.tokens.length;
  const add = (site: string, transformers: Float32Array, of: (computed: Computed) => Float32Array) =>
    rows.add(site, transformers.length / n_tokens, { truth: of(truth), device: of(got), transformers });
  for (const { site, values } of reference.sites)
    add(kindOf(site), values, ({ captures }) => present(captures[site], site));
  add("logits", reference.logits, ({ logits }) => logits);
}

/** `hook_resid_post` of `blocks.3.hook_resid_post` */
function kindOf(site: Site): string {
  return site.slice(site.lastIndexOf(".") + 1);
}
