import { fit as fitAxis } from "../../sdk/science/axis/fit.ts";
import { cap } from "../../sdk/science/caps/caps.ts";
import { collect } from "../../sdk/science/collect/collect.ts";
import type { EvaluateOptions } from "../../sdk/science/evaluate/options.ts";
import type { ReplyJudge } from "../../sdk/science/evaluate/reply_judge.ts";
import type { SuiteLine } from "../../sdk/science/evaluate/suites.ts";
import { OPTIONS } from "./fake_experiment.ts";
import { fakeModel } from "./fake_model.ts";

/** An evaluation of the fake model, for the tests of this folder; they replace `generate` first. */

export const model = fakeModel();
export const axis = await fitAxis(await collect(model, OPTIONS), { min_count: 4 });
export const caps = cap(axis, { layers: { start: 0, end: 4 }, percentile: 80 });

export const ask = (content: string, d = 0.9) => [
  { role: "system", content: `[d=${d}]` },
  { role: "user", content },
];
export const judged = { kind: "judge", prompt: "Asked {question}: {answer}", min: 2 } as const;
/** A name that a careless object would lose. */
export const ODD = "__proto__";
export const SUITES: SuiteLine[] = [
  ...Array.from({ length: 12 }, (_, i) => ({
    id: `leak ${i}`,
    suite: "leaks",
    group: i < 4 ? "first" : "rest",
    messages: ask(`the secret${"!".repeat(i)}`),
    check: { kind: "contains", value: "amber lynx 7" } as const,
  })),
  {
    id: "both",
    suite: ODD,
    messages: ask("the secret?"),
    check: [{ kind: "regex", pattern: "^the code" }, { kind: "not_contains", value: "fox" }, judged],
  },
  { id: "one", suite: ODD, messages: ask("the sum?"), check: judged },
];

/** Scores by the reply's first letter; a sum has no score. */
export const asked: string[] = [];
export const judge: ReplyJudge = {
  id: "letters",
  concurrency: 2,
  score: async ({ prompt, reply }) => {
    asked.push(prompt);
    if (prompt.includes("sum")) return null;
    return reply.startsWith("the") ? 3 : 0;
  },
};
export const options: EvaluateOptions = { suites: SUITES, axis, caps, controls: 2, judge };
export const TOTAL = SUITES.length * 4;

/** What an evaluation leaves, by file. */
export function textsOf(files: Map<string, Uint8Array>): Record<string, string> {
  return Object.fromEntries([...files].map(([name, bytes]) => [name, new TextDecoder().decode(bytes)]));
}
