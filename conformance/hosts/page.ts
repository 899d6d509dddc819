import { type Answer, fromJson, type Job, runJob, toJson } from "./job.ts";

/** The module Worker of a page that asks its server for cases, one after the other, and reports what became of each. */
const page = globalThis as unknown as { postMessage(line: string | null): void };

/** This file is `dist/js/case_page.js` there. */
const base = new URL("../../", import.meta.url);

for (;;) {
  const job = (await ask("next", null)) as Job | null;
  if (job === null) break;
  const answer = await runJob(job);
  page.postMessage(lineOf(job, answer));
  await ask("done", answer);
}
page.postMessage(null);

async function ask(what: "next" | "done", body: unknown): Promise<unknown> {
  const response = await fetch(new URL(what, base), { method: "POST", body: toJson(body) });
  return fromJson(await response.text());
}

function lineOf({ source }: Job, answer: Answer): string {
  if ("report" in answer) return `${answer.report.passed ? "ok" : "FAIL"} ${answer.report.case}`;
  const { error } = answer;
  return `error in ${source}: ${"text" in error ? error.text : error.code}`;
}
