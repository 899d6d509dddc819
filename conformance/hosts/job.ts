import { CapstanError, type ErrorCode, type ErrorParts } from "../../models/index.ts";
import { type CheckOptions, checkCase } from "../check/index.ts";
import type { CaseReport } from "../check/report.ts";
import { keptDevice } from "../devices.ts";
import { shareOf } from "../share.ts";

/** A reference case to check in another runtime. */
export interface Job {
  /** The URL of the case's folder. */
  source: string;
  device: "auto" | "wasm" | "webgpu" | "truth";
  dtype: NonNullable<CheckOptions["dtype"]>;
  explain: NonNullable<CheckOptions["explain"]>;
}

/** What became of it. */
export type Answer =
  | { report: CaseReport }
  | { error: { code: ErrorCode; parts: ErrorParts } | { text: string } };

/** Checks a case here; its error is an answer, too. */
export async function runJob({ source, device, dtype, explain }: Job): Promise<Answer> {
  try {
    // One device for all cases: a GPU's compiles its kernels once.
    const on = device === "webgpu" ? async () => shareOf(await keptDevice("webgpu")) : device;
    return { report: await checkCase(source, { device: on, dtype, explain }) };
  } catch (error) {
    if (error instanceof CapstanError) return { error: { code: error.code, parts: error.parts } };
    return { error: { text: String(error) } };
  }
}

/** The report of an answer; throws the error that it is instead. */
export function reportOf(answer: Answer): CaseReport {
  if ("report" in answer) return answer.report;
  const { error } = answer;
  throw "text" in error ? new Error(error.text) : new CapstanError(error.code, error.parts);
}

const NOT_FINITE = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
};

/** JSON with the numbers that it lacks, which the reports of broken devices are full of. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === "number" && !Number.isFinite(part) ? { not_finite: String(part) } : part,
  );
}

export function fromJson(text: string): unknown {
  return JSON.parse(text, (_, part: unknown) => {
    const name = (part as { not_finite?: keyof typeof NOT_FINITE } | null)?.not_finite;
    return name === undefined ? part : NOT_FINITE[name];
  });
}
