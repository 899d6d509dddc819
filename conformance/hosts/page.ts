import type { CaseReport } from "../check/report.ts";
import { CASE_TASKS, type CaseArgs } from "./case_task.ts";
import { type Answer, fromJson, runTask, type Task, toJson } from "./task.ts";

/** The module Worker of a page that asks its server for cases, one after the other, and reports what became of each. */
const page = globalThis as unknown as { postMessage(line: string | null): void };

/** This file is `dist/js/case_page.js` there. */
const base = new URL("../../", import.meta.url);

for (;;) {
  const task = (await ask("next", null)) as Task | null;
  if (task === null) break;
  const answer = await runTask(CASE_TASKS, task);
  page.postMessage(lineOf(task.args as CaseArgs, answer));
  await ask("done", answer);
}
page.postMessage(null);

async function ask(what: "next" | "done", body: unknown): Promise<unknown> {
  const response = await fetch(new URL(what, base), { method: "POST", body: toJson(body) });
  return fromJson(await response.text());
}

function lineOf({ source }: CaseArgs, answer: Answer): string {
  if ("result" in answer) {
    const report = answer.result as CaseReport;
    return `${report.passed ? "ok" : "FAIL"} ${report.case}`;
  }
  const { error } = answer;
  return `error in ${source}: ${"text" in error ? error.text : error.code}`;
}
