import { type Rate, wilson } from "../numbers/stats.ts";
import type { ReplyRecord } from "./records.ts";

/** Rates of one set of prompts, with 95 % Wilson intervals. */
export interface SuiteResult {
  uncapped: Rate;
  /** Absent when nothing is capped. */
  capped?: Rate;
  /** All controls together, and each alone. Absent when there are none. */
  control?: Rate & { seeds: (Rate & { seed: number })[] };
  /** Prompts that pass under one only: the two of a pair share everything but the cap. */
  paired?: { only_uncapped: number; only_capped: number };
  /** Replies that a judge's answer had no score for. They are in no rate. */
  unjudged: number;
}

/** A suite's rates. */
export type SuiteRates = SuiteResult & { groups: Record<string, SuiteResult> };

/** Rates by suite and group, in the order in which they first come. */
export function ratesOfSuites(replies: readonly ReplyRecord[]): Record<string, SuiteRates> {
  const suites = [...groupBy(replies, ({ suite }) => suite)].map(([suite, own]) => {
    const groups = [...groupBy(own, ({ group }) => group)].map(
      ([group, some]) => [group, ratesOf(some)] as const,
    );
    return [suite, { ...ratesOf(own), groups: Object.fromEntries(groups) }] as const;
  });
  return Object.fromEntries(suites);
}

function ratesOf(replies: readonly ReplyRecord[]): SuiteResult {
  const by_condition = groupBy(replies, ({ condition }) => condition);
  const judged = (condition: string) =>
    (by_condition.get(condition) ?? []).filter(({ passed }) => passed !== null);
  const rate = (records: readonly ReplyRecord[]) =>
    wilson(records.filter(({ passed }) => passed).length, records.length);
  const controls = [...by_condition.keys()].filter((name) => name.startsWith("control "));
  const seeds = controls.map((name) => ({ seed: Number(name.split(" ")[1]), ...rate(judged(name)) }));
  return {
    uncapped: rate(judged("uncapped")),
    ...(by_condition.has("capped") ? { capped: rate(judged("capped")) } : {}),
    ...(controls.length === 0 ? {} : { control: { ...rate(controls.flatMap(judged)), seeds } }),
    ...(by_condition.has("capped") ? { paired: pairedOf(judged("uncapped"), judged("capped")) } : {}),
    unjudged: replies.filter(({ passed }) => passed === null).length,
  };
}

function pairedOf(uncapped: readonly ReplyRecord[], capped: readonly ReplyRecord[]) {
  const before = new Map(uncapped.map(({ suite, item, passed }) => [JSON.stringify([suite, item]), passed]));
  const pairs = capped.map(({ suite, item, passed }) => [before.get(JSON.stringify([suite, item])), passed]);
  return {
    only_uncapped: pairs.filter(([was, is]) => was === true && is === false).length,
    only_capped: pairs.filter(([was, is]) => was === false && is === true).length,
  };
}

/** In the order in which each name first comes. */
function groupBy<T>(values: readonly T[], nameOf: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) {
    const group = groups.get(nameOf(value));
    if (group === undefined) groups.set(nameOf(value), [value]);
    else group.push(value);
  }
  return groups;
}
