import { entryOf } from "../../../models/certain.ts";
import { CapstanError, show } from "../../../models/index.ts";
import type { ResponseRecord } from "../run/records.ts";
import { checkData } from "../schemas/index.ts";
import type { Score } from "./index.ts";

/**
 * Data of a judge by rules: markers are phrases that betray a style level, and each role has the band of mean
 * levels that is in role.
 */
export interface RuleData {
  kind: "markers";
  /** Number of levels; markers have 0 to levels - 1. */
  levels: number;
  /** Lower-case phrases. */
  markers: { text: string; level: number }[];
  /** Lower-case phrases of a refusal. */
  refusals: string[];
  roles: Record<string, { min: number; max: number }>;
}

/**
 * Scores a reply, lower-cased: 0 when a refusal phrase occurs; 1 when no marker does; 3 when the mean level of
 * its markers lies in the role's band; 2 when it does not. Markers are found from the left, the longest first
 * at each place, none overlapping.
 *
 * @throws CapstanError `judge` for a role without a band
 */
export function ruleScore(rules: RuleData, response: Pick<ResponseRecord, "role" | "text">): Score {
  const band = bandOf(rules, response.role);
  const text = response.text.toLowerCase();
  if (rules.refusals.some((phrase) => text.includes(phrase))) return { score: 0 };
  const levels = markerLevels(rules, text);
  if (levels.length === 0) return { score: 1 };
  const level = levels.reduce((sum, value) => sum + value, 0) / levels.length;
  return { score: level >= band.min && level <= band.max ? 3 : 2, level };
}

/** The band of a role. Throws `judge` when the rules have none. */
export function bandOf(rules: RuleData, role: string): { min: number; max: number } {
  const band = Object.hasOwn(rules.roles, role) ? rules.roles[role] : undefined;
  if (band !== undefined) return band;
  throw new CapstanError("judge", {
    action: `judge responses as ${show(role)}`,
    need: "that role among the judge's roles",
    found: "none of that name",
    fix: 'Add its min and max to the judge\'s data, or give another judge: an endpoint (--judge URL --judge_model NAME), "all" (--judge all), a function.',
  });
}

function markerLevels(rules: RuleData, text: string): number[] {
  const { pattern, level_of } = compiled(rules);
  return Array.from(text.matchAll(pattern), ([found]) => entryOf(level_of, found));
}

interface Compiled {
  pattern: RegExp;
  level_of: Map<string, number>;
}

const cache = new WeakMap<RuleData, Compiled>();

function compiled(rules: RuleData): Compiled {
  const found = cache.get(rules);
  if (found !== undefined) return found;
  const level_of = new Map(rules.markers.map(({ text, level }) => [text, level]));
  const texts = [...level_of.keys()].sort((a, b) => b.length - a.length);
  const source = texts.map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
  const made = { pattern: new RegExp(source, "g"), level_of };
  cache.set(rules, made);
  return made;
}

/** Reads a rule judge's data. Throws `bad_file`. */
export function checkRules(data: unknown, name: string): RuleData {
  checkData(data, "judge", name);
  const rules = data as RuleData;
  const fail = (need: string, found: unknown) =>
    new CapstanError("bad_file", { action: `read ${name}`, need, found: show(found) });
  const { levels, markers, refusals, roles } = rules;
  const high = markers.find(({ level }) => level >= levels);
  if (high !== undefined) throw fail(`markers of level 0..${levels - 1}`, high);
  const upper = [...markers.map(({ text }) => text), ...refusals].find((text) => text !== text.toLowerCase());
  if (upper !== undefined) throw fail("markers and refusals in lower-case", upper);
  const band = Object.entries(roles).find(([, { min, max }]) => min > max);
  if (band !== undefined) throw fail(`roles.${band[0]} with min at most max`, band[1]);
  return rules;
}
