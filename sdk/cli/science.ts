import type { Command } from "commander";
import type { OnProgress } from "../science/index.ts";
import type { Io } from "./io.ts";
import { realNumber, wholeNumber } from "./options.ts";
import { count, duration } from "./progress.ts";

/** The line of progress of collect and evaluate: `collect 120 of 400 · 1,530 tok/s · 12 s left · pirate`. */
export function showProgress(io: Io): OnProgress {
  return ({ phase, done, total, tok_per_s, eta_s, role }) => {
    const parts = [`${phase} ${count(done)} of ${count(total)}`];
    if (tok_per_s > 0) parts.push(`${count(tok_per_s)} tok/s`);
    if (eta_s !== null) parts.push(`${duration(eta_s)} left`);
    if (role !== undefined) parts.push(role);
    io.progress.update(parts.join(" · "));
  };
}

/** Options of the verbs that may collect. */
export interface CollectingOptions {
  roles?: string;
  questions?: string;
  seed?: number;
  temperature?: number;
  top_p?: number;
  max_tokens?: number;
  samples?: number;
  limit?: number;
}

export function addCollectingOptions(command: Command): Command {
  return command
    .option("--roles <folder>", "folder of <role>.json (default: the model's own)")
    .option("--questions <file>", "JSON lines { id, question } (default: the model's own)")
    .option("--samples <n>", "replies to each prompt", wholeNumber)
    .option("--limit <n>", "at most this many responses a role", wholeNumber)
    .option("--temperature <t>", "0 is greedy (default: the model's recipe, else 0.7)", realNumber)
    .option("--top_p <p>", "default: the model's recipe, else 0.9", realNumber)
    .option("--max_tokens <n>", "longest reply (default: the model's recipe, else 512)", wholeNumber)
    .option("--seed <n>", "same seed, same device: same responses", wholeNumber);
}

const COLLECTING = [
  "roles",
  "questions",
  "seed",
  "temperature",
  "top_p",
  "max_tokens",
  "samples",
  "limit",
] as const;

/** The collecting options that were given, under collect's names. */
export function collectingOf(options: CollectingOptions): CollectingOptions {
  const given = COLLECTING.filter((name) => options[name] !== undefined);
  return Object.fromEntries(given.map((name) => [name, options[name]]));
}
