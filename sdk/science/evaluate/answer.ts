import { entryOf, itemAt, present } from "../../../models/certain.ts";
import { eachOf, IN_FLIGHT } from "../../common/pool.ts";
import { generate } from "../../inference/generate.ts";
import type { Model } from "../../types.ts";
import { ProgressMeter } from "../progress.ts";
import { passes } from "./checks.ts";
import type { EvaluationFolder } from "./folder.ts";
import type { ReadOptions } from "./options.ts";
import type { PlannedReply } from "./plan.ts";
import { judgementKey, keyOf, type ReplyRecord, type Verdict } from "./records.ts";
import { askJudge } from "./reply_judge.ts";
import type { SuiteItem } from "./suites.ts";

const namesOf = ({ item, condition }: PlannedReply) => ({
  suite: item.suite,
  item: item.id,
  condition: condition.name,
});

/** Generates what the folder lacks, greedily, and keeps each reply once it is there. */
export async function answerAll(
  model: Model,
  planned: readonly PlannedReply[],
  folder: EvaluationFolder,
  options: ReadOptions,
): Promise<void> {
  const missing = planned.filter((reply) => !folder.replies.has(keyOf(namesOf(reply))));
  const done = planned.length - missing.length;
  const concurrency = options.concurrency ?? IN_FLIGHT;
  const meter = new ProgressMeter("evaluate", planned.length, done, options.on_progress, concurrency);
  const { template_args } = options;
  const greedy = { temperature: 0, repetition_penalty: 1, seed: 0, template_args };
  const work = async (one: PlannedReply, signal: AbortSignal) => {
    const { item, condition } = one;
    const call = { ...greedy, max_tokens: item.max_tokens, hooks: [...condition.hooks], signal };
    const { text, tokens, finish_reason } = await generate(model, item.messages, call).result;
    const { suite, item: id, condition: name } = namesOf(one);
    const checks = await verdictsOf(item, text);
    await folder.addReply({
      suite,
      item: id,
      group: item.group,
      condition: name,
      prompt: item.messages,
      reply: text,
      tokens: tokens.length,
      finish_reason,
      passed: allPassed(checks),
      checks,
    });
    meter.item(tokens.length, suite);
  };
  await eachOf(missing, work, { concurrency, action: "evaluate", signal: options.signal });
}

/** What the checks that need no judge say. */
async function verdictsOf(item: SuiteItem, text: string): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const check of item.checks) {
    const passed = check.kind === "judge" ? null : await passes(check, text);
    verdicts.push({ kind: check.kind, passed });
  }
  return verdicts;
}

function allPassed(verdicts: readonly Verdict[]): boolean | null {
  if (verdicts.some(({ passed }) => passed === false)) return false;
  return verdicts.some(({ passed }) => passed === null) ? null : true;
}

/** Asks the judge what it has not said yet; gives the planned replies with all their verdicts, in order. */
export async function judgeAll(
  planned: readonly PlannedReply[],
  folder: EvaluationFolder,
  options: ReadOptions,
): Promise<ReplyRecord[]> {
  const asks = planned.flatMap((one) =>
    one.item.checks.flatMap((check, i) => (check.kind === "judge" ? [{ one, check, i }] : [])),
  );
  if (asks.length > 0) await askAll(asks, folder, options);
  return await Promise.all(planned.map((one) => withVerdicts(one, folder, options.judge?.id ?? "")));
}

interface Ask {
  one: PlannedReply;
  check: Extract<SuiteItem["checks"][number], { kind: "judge" }>;
  /** Index of the check in its item. */
  i: number;
}

async function askAll(asks: readonly Ask[], folder: EvaluationFolder, options: ReadOptions): Promise<void> {
  // checkJudge has seen to it.
  const judge = present(options.judge, "a judge");
  const recordOf = ({ one, i }: Ask) => ({ ...namesOf(one), check: i, judge: judge.id });
  const missing = asks.filter((ask) => !folder.judgements.has(judgementKey(recordOf(ask))));
  const done = asks.length - missing.length;
  const concurrency = judge.concurrency ?? 1;
  const meter = new ProgressMeter("judge", asks.length, done, options.on_progress, concurrency);
  const work = async (ask: Ask, signal: AbortSignal) => {
    const { item } = ask.one;
    const { reply } = entryOf(folder.replies, keyOf(namesOf(ask.one)));
    const score = await askJudge(judge, ask.check, item, reply, signal);
    await folder.addJudgement({ ...recordOf(ask), score });
    meter.item(0, item.suite);
  };
  await eachOf(missing, work, { concurrency, action: "judge replies", signal: options.signal });
}

async function withVerdicts(
  one: PlannedReply,
  folder: EvaluationFolder,
  judge: string,
): Promise<ReplyRecord> {
  const names = namesOf(one);
  const record = entryOf(folder.replies, keyOf(names));
  // From the text each time: what stands in the line is for its readers.
  const verdicts = await verdictsOf(one.item, record.reply);
  const checks = verdicts.map((verdict, i): Verdict => {
    const check = itemAt(one.item.checks, i);
    if (check.kind !== "judge") return verdict;
    const score = folder.judgements.get(judgementKey({ ...names, check: i, judge }))?.score ?? null;
    const passed = score === null ? null : score >= check.min && score <= (check.max ?? Infinity);
    return { kind: "judge", passed, score, judge };
  });
  return { ...record, passed: allPassed(checks), checks };
}
