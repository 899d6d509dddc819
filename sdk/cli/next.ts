import { launcher, quoteArgument } from "../platform/index.ts";
import type { Run } from "../science/index.ts";
import { countThatFits } from "../science/index.ts";
import { DEFAULT_MODEL } from "./options.ts";

/** A command that can be typed as it stands: the way the user called this one, every part quoted. */
export function command(verb: string, ...args: string[]): string {
  return [...launcher(), verb, ...args].map(quoteArgument).join(" ");
}

/** A path as an argument: never taken for an option. */
export function pathArgument(path: string): string {
  return path.startsWith("-") ? `./${path}` : path;
}

/** What a file of the experiment knows of how its model was loaded. */
interface Loaded {
  id: string;
  source?: string | null;
  /** Absent where none was asked for. */
  dtype?: string;
}

/** `--model` and `--dtype` as a file of the experiment knows them; none where they are the defaults. */
export function modelArguments({ id, source, dtype }: Loaded): string[] {
  const name = source ?? id;
  const model = name === DEFAULT_MODEL ? [] : ["--model", pathArgument(name)];
  return dtype === undefined ? model : [...model, "--dtype", dtype];
}

/** What follows a run: `fit` where it can be fitted, `judge` where nothing is scored; undefined where neither helps. */
export function afterRun(run: Run, folder: string): string | undefined {
  const path = pathArgument(folder);
  const { judge } = run;
  if (judge === undefined) return command("judge", path, "--judge", "all");
  const wanted = run.manifest.recipe.min_count ?? 50;
  const count = countThatFits(run, judge, wanted);
  if (count === undefined) return undefined;
  const chosen = run.judges.length > 1 ? ["--judge_id", judge] : [];
  const lowered = count === wanted ? [] : ["--min_count", String(count)];
  return command("fit", path, ...chosen, ...lowered);
}
