import { entryOf } from "../../../models/certain.ts";
import { CapstanError, show } from "../../../models/index.ts";
import { DEFAULT_ROLE } from "../recipe/default_role.ts";
import type { ScoreRecord } from "../run/records.ts";
import type { Run } from "../run/run.ts";

/** Why a role has no part in an axis, and what there is of it. */
export interface LeftOut {
  /** Responses fully in role. */
  count: number;
  /** Responses in all, those with a score, and those that the judge gave none. */
  responses: number;
  scored: number;
  unscored: number;
  /** In a sentence. */
  why: string;
}

/**
 * The judge whose scores count; undefined where nothing is scored.
 *
 * @throws CapstanError `bad_request` where the run has scores of several and none is named, or not of the named one, or
 *   where a role has scores under two prompts
 */
export function chooseJudge(run: Run, judge_id: string | undefined): string | undefined {
  const action = `fit ${run.name}`;
  const judges = run.judges.map((judge) => `${judge} (${countOf(run, judge)} of ${toScore(run)} responses)`);
  if (judge_id !== undefined && !run.judges.includes(judge_id)) {
    const found = judges.length === 0 ? "no scores" : `those of ${judges.join(", ")}`;
    throw new CapstanError("bad_request", { action, need: `scores of the judge ${show(judge_id)}`, found });
  }
  if (judge_id === undefined && run.judges.length > 1) {
    throw new CapstanError("bad_request", {
      action,
      need: "scores of one judge, for those of two are not mixed",
      found: `${judges.length}: ${judges.join(", ")}`,
      fix: "Choose one by judge_id (--judge_id).",
    });
  }
  const judge = judge_id ?? run.judges[0];
  if (judge !== undefined) checkPrompts(run, judge, action);
  return judge;
}

/** Responses that a judge scores: those of the default role need no score. */
function toScore(run: Run): number {
  return rolesOf(run).reduce((sum, [, keys]) => sum + keys.length, 0);
}

function countOf(run: Run, judge: string): number {
  return [...run.scoresOf(judge).values()].filter(({ score }) => score !== null).length;
}

/** Keys of the responses of each role but the default. */
function rolesOf(run: Run): [role: string, keys: string[]][] {
  const roles = new Map<string, string[]>();
  for (const { key, role } of run.responses.values()) {
    if (role === DEFAULT_ROLE) continue;
    const keys = roles.get(role);
    if (keys === undefined) roles.set(role, [key]);
    else keys.push(key);
  }
  return [...roles];
}

/** A role whose judge prompt was changed while it was judged has scores of two kinds. */
function checkPrompts(run: Run, judge: string, action: string): void {
  const scores = run.scoresOf(judge);
  for (const [role, keys] of rolesOf(run)) {
    const prompts = new Set(keys.flatMap((key) => scores.get(key)?.prompt ?? []));
    if (prompts.size <= 1) continue;
    throw new CapstanError("bad_request", {
      action,
      need: `scores of ${role} under one judge prompt`,
      found: `${prompts.size} prompts`,
      fix: `Its eval_prompt was changed: run capstan judge ${run.name} to its end.`,
    });
  }
}

/** Responses of a run that need a score, those that have one, and those that the judge gave none. */
export interface ScoreCounts {
  responses: number;
  scored: number;
  unscored: number;
}

export function scoreCounts(run: Run, judge: string | undefined): ScoreCounts {
  const scored = judge === undefined ? 0 : countOf(run, judge);
  return { responses: toScore(run), scored, unscored: run.scoresOf(judge ?? "").size - scored };
}

/**
 * A `min_count` that `fit` can do with: the wanted one where two roles have as many responses fully in role, else what
 * half of the roles have, else the second most that any has; undefined where fewer than two roles have any.
 * @example
 * const min_count = countThatFits(run, "all", 50);
 */
export function countThatFits(run: Run, judge: string, wanted: number): number | undefined {
  const roles = rolesOf(run);
  const left = leftOut(
    run,
    judge,
    roles.map(([role]) => role),
    wanted,
  );
  const counts = Object.values(left)
    .map(({ count }) => count)
    .sort((a, b) => b - a);
  const second = counts[1] ?? 0;
  if (second >= wanted) return wanted;
  const median = counts[Math.max(1, Math.ceil(counts.length / 2) - 1)] ?? 0;
  return median || second || undefined;
}

/** What there is of some roles that had too few responses fully in role. */
export function leftOut(
  run: Run,
  judge: string | undefined,
  names: readonly string[],
  min_count: number,
): Record<string, LeftOut> {
  const scores = run.scoresOf(judge ?? "");
  const keys = new Map(rolesOf(run));
  return Object.fromEntries(names.map((name) => [name, of(run, scores, keys.get(name) ?? [], min_count)]));
}

function of(
  run: Run,
  scores: ReadonlyMap<string, ScoreRecord>,
  keys: readonly string[],
  min_count: number,
): LeftOut {
  const found = keys.flatMap((key) => scores.get(key) ?? []);
  const in_role = found.filter(({ score }) => score === 3);
  const empty = in_role.filter(({ key }) => entryOf(run.responses, key).tokens === 0).length;
  const count = in_role.length - empty;
  const scored = found.filter(({ score }) => score !== null).length;
  const unscored = found.length - scored;
  const parts = [`${count} of its ${keys.length} responses fully in role, ${min_count} needed`];
  if (empty > 0) parts.push(`${empty} more without a token`);
  if (unscored > 0) parts.push(`${unscored} that the judge gave no score`);
  const waiting = keys.length - found.length;
  if (waiting > 0) parts.push(`${waiting} not judged yet`);
  const why = found.length === 0 ? "no scores" : parts.join("; ");
  return { count, responses: keys.length, scored, unscored, why };
}
