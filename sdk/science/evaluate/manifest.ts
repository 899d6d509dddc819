import { CapstanError, isObject, show } from "../../../models/index.ts";
import type { TemplateArgs } from "../../types.ts";

/** What decides the replies of an evaluation: `evaluation.json`. */
export interface EvaluationManifest {
  format: "capstan.evaluation";
  format_version: 1;
  model: { id: string; digest: string };
  /** How the weights are kept on the device. */
  dtype: string;
  /** Greedy. */
  sampling: { temperature: 0 };
  template_args: TemplateArgs;
  suites: Record<string, { items: number; digest: string }>;
  /** By condition: a digest of its hooks. */
  conditions: Record<string, string>;
}

/**
 * The manifest of a folder that goes on: what it had, and the suites and conditions that are new to it.
 *
 * @throws CapstanError `digest_mismatch` for another model, `bad_request` for anything else that differs: names it
 */
export function continued(
  found: EvaluationManifest,
  wanted: EvaluationManifest,
  name: string,
): EvaluationManifest {
  const action = `continue ${name}`;
  const fix = "Give another folder, or what it was begun with.";
  const differs = (what: string, before: string, now: string) =>
    new CapstanError("bad_request", { action, need: `${what} ${before}`, found: now, fix });
  if (found.model.digest !== wanted.model.digest) {
    const need = `the model it was begun with, ${found.model.id} (${found.model.digest})`;
    const parts = { action, need, found: `${wanted.model.id} (${wanted.model.digest})`, fix };
    throw new CapstanError("digest_mismatch", parts);
  }
  for (const field of ["dtype", "sampling", "template_args"] as const) {
    const [before, now] = [JSON.stringify(found[field]), JSON.stringify(wanted[field])];
    if (before !== now) throw differs(field, before, now);
  }
  for (const [suite, { items, digest }] of Object.entries(wanted.suites)) {
    const before = Object.hasOwn(found.suites, suite) ? found.suites[suite] : undefined;
    if (before === undefined || before.digest === digest) continue;
    const of = (n: number, digest: string) => `${n} items (${digest.slice(0, 19)})`;
    throw differs(`suite ${show(suite)} as it was,`, of(before.items, before.digest), of(items, digest));
  }
  for (const [condition, digest] of Object.entries(wanted.conditions)) {
    const before = found.conditions[condition];
    if (before === undefined || before === digest) continue;
    throw differs(`the hooks of condition ${show(condition)},`, before.slice(0, 19), digest.slice(0, 19));
  }
  return {
    ...found,
    suites: { ...found.suites, ...wanted.suites },
    conditions: { ...found.conditions, ...wanted.conditions },
  };
}

/** Reads `evaluation.json`. Throws `bad_file` when it is not one. */
export function parseEvaluation(bytes: Uint8Array, name: string): EvaluationManifest {
  const fail = (need: string, found: unknown, cause?: unknown) => {
    const fix =
      "Put back a copy of the file, or give another folder: without it nobody knows what the replies are of.";
    const parts = { action: `read evaluation.json of ${name}`, need, found: show(found), fix };
    return new CapstanError("bad_file", parts, { cause });
  };
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw fail("JSON", new TextDecoder().decode(bytes.subarray(0, 40)), cause);
  }
  if (!isObject(value) || value.format !== "capstan.evaluation")
    throw fail('format "capstan.evaluation"', isObject(value) ? value.format : value);
  if (value.format_version !== 1) throw fail("format_version 1", value.format_version);
  const { model, suites, conditions } = value;
  const whole = isObject(model) && typeof model.digest === "string" && isObject(suites);
  if (!whole || !isObject(conditions)) throw fail("model, suites and conditions", "one of them missing");
  return value as unknown as EvaluationManifest;
}
