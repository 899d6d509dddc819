import { type CheckOptions, checkCase } from "../check/index.ts";
import type { CaseReport } from "../check/report.ts";
import { keptDevice } from "../devices.ts";
import { shareOf } from "../share.ts";
import type { Task } from "./task.ts";

/** A reference case to check in another runtime. */
export interface CaseArgs {
  /** The URL of the case's folder. */
  source: string;
  device: "auto" | "wasm" | "webgpu" | "truth";
  dtype: NonNullable<CheckOptions["dtype"]>;
  explain: NonNullable<CheckOptions["explain"]>;
}

/** What `capstan conformance --runtime` asks of a runtime. */
export const CASE_TASKS = { case: checkOne };

export function caseTask(args: CaseArgs): Task {
  return { name: "case" satisfies keyof typeof CASE_TASKS, args };
}

async function checkOne({ source, device, dtype, explain }: CaseArgs): Promise<CaseReport> {
  // One device for all cases: a GPU's compiles its kernels once.
  const on = device === "webgpu" ? async () => shareOf(await keptDevice("webgpu")) : device;
  return await checkCase(source, { device: on, dtype, explain });
}
