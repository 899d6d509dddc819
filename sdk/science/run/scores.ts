import type { ScoreRecord } from "./records.ts";

/**
 * The scores of a run, by judge and key: those of two judges are never mixed. Of several lines of one judge for one
 * key the last counts.
 */
export class Scores {
  readonly #by_judge = new Map<string, Map<string, ScoreRecord>>();
  /** Lines as they stand in the file: the order, and lines that a later one replaced. */
  #lines: ScoreRecord[] = [];

  add(records: readonly ScoreRecord[]): void {
    for (const record of records) {
      const own = this.#by_judge.get(record.judge) ?? new Map<string, ScoreRecord>();
      own.set(record.key, record);
      this.#by_judge.set(record.judge, own);
      this.#lines.push(record);
    }
  }

  /** Ids of the judges, in the order in which they first scored. */
  get judges(): string[] {
    return [...this.#by_judge.keys()];
  }

  /** By key; empty for a judge that scored nothing. */
  of(judge: string): ReadonlyMap<string, ScoreRecord> {
    return this.#by_judge.get(judge) ?? new Map();
  }

  /**
   * The lines in the order that does not depend on which score came first: judge by judge, each in the order of `keys`.
   * Undefined where they stand so already.
   */
  inOrder(keys: Iterable<string>): ScoreRecord[] | undefined {
    const place = new Map(Array.from(keys, (key, index) => [key, index]));
    const at = ({ key }: ScoreRecord) => place.get(key) ?? Number.POSITIVE_INFINITY;
    const ordered = this.judges.flatMap((judge) =>
      [...this.of(judge).values()].sort((a, b) => at(a) - at(b) || 0),
    );
    const same =
      ordered.length === this.#lines.length && ordered.every((record, i) => record === this.#lines[i]);
    if (same) return undefined;
    this.#lines = ordered;
    return ordered;
  }
}
