import { CapstanError, show } from "../../../models/index.ts";
import { crc32 } from "../run/checksum.ts";
import type { Judge, JudgeFunction } from "./judge.ts";
import { bandOf, checkRules, ruleScore } from "./rules.ts";

/** `ruleJudge` of `verbs.ts`. */
export function ruleJudge(data: unknown, name: string): Judge {
  const rules = checkRules(data, name);
  return {
    id: `markers-${crc32(JSON.stringify(rules))}`,
    checkRoles: (roles) => {
      for (const role of roles) bandOf(rules, role);
    },
    score: (response) => ruleScore(rules, response),
  };
}

/** Every response counts as fully in its role. */
export function allJudge(): Judge {
  return { id: "all", score: () => ({ score: 3 }) };
}

/**
 * A function as a judge. Its id is its name and a checksum of its source text, so that two functions are two judges;
 * two closures of one text are taken for one. `{ id, score }` gives an id of its own.
 */
export function functionJudge(judge: JudgeFunction): Judge {
  return judgeBy(judge, `${judge.name || "function"}-${crc32(Function.prototype.toString.call(judge))}`);
}

export function judgeBy(judge: JudgeFunction, id: string): Judge {
  return {
    id,
    async score(response, signal) {
      const value = await judge(response, signal);
      return typeof value === "number" || value === null ? { score: value } : value;
    },
  };
}

/** Scores that were given elsewhere, by the keys of the responses. */
export function scoresJudge(lines: readonly unknown[], id: string, name: string): Judge {
  const scores = new Map<string, number | null>();
  for (const [index, line] of lines.entries()) {
    const { key, score } = (line ?? {}) as { key?: unknown; score?: unknown };
    const is_score = score === null || [0, 1, 2, 3].includes(score as number);
    if (typeof key !== "string" || !is_score || (scores.has(key) && scores.get(key) !== score)) {
      const need = 'scores { "key": ..., "score": 0 to 3 or null }, one a key';
      throw new CapstanError("bad_file", {
        action: `read ${name} (score ${index + 1})`,
        need,
        found: show(line),
      });
    }
    scores.set(key, score as number | null);
  }
  return {
    id,
    checkKeys(keys) {
      let first: string | undefined;
      for (const key of keys) {
        if (scores.has(key)) return;
        first ??= key;
      }
      if (first === undefined) return;
      const [known = "none at all"] = scores.keys();
      throw new CapstanError("bad_file", {
        action: `read ${name}`,
        need: `scores of this run's responses, by keys such as ${first}`,
        found: `${scores.size} of others, such as ${known}`,
        fix: "The keys are those of the run's responses.jsonl.",
      });
    },
    score({ key }) {
      const score = scores.get(key);
      return score === undefined ? { score: null, error: `no score of this key in ${name}` } : { score };
    },
  };
}
