import type { Command } from "commander";
import { CapstanError } from "../../../models/index.ts";
import { judge, planJudging } from "../../science/index.ts";
import { verb } from "../io.ts";
import {
  addJudgingOptions,
  type JudgingOptions,
  judgeOf,
  printPlan,
  printScores,
  scoresOf,
} from "../judging.ts";
import { afterRun } from "../next.ts";
import { showProgress } from "../science.ts";

interface Options extends JudgingOptions {
  roles?: string;
  dry_run?: boolean;
  json?: boolean;
}

export function addJudge(program: Command): void {
  const command = program
    .command("judge")
    .description("score the responses of a run; what is scored already is not asked again")
    .argument("[run]", "folder that collect wrote", "run");
  addJudgingOptions(command, "one must be named (default: none)")
    .option(
      "--roles <folder>",
      "folder of <role>.json with the eval_prompt to ask (default: those the run was collected with)",
    )
    .option("--dry_run", "print what would be asked and how many calls it takes; ask nothing")
    .option("--json", "print one JSON object on stdout and nothing else")
    .addHelpText(
      "after",
      `
Examples:
  $ capstan judge run --judge all
  $ CAPSTAN_JUDGE_KEY=... capstan judge run --judge https://api.openai.com/v1 --judge_model gpt-4.1-mini --dry_run
  $ capstan judge run --judge http://127.0.0.1:8080/v1 --judge_model qwen3-8b --judge_concurrency 4
  $ capstan judge run --judge my_judge.mjs       (export function judge(response) { return 0 to 3, or null })`,
    )
    .action(
      verb(async (io, options: Options, folder: string) => {
        const chosen = judgeOf(io, options);
        if (chosen === undefined || chosen === null) {
          throw new CapstanError("bad_request", {
            action: `judge ${folder}`,
            need: "--judge URL --judge_model NAME, --judge all, or --judge FILE",
            found: chosen === null ? "none" : "no --judge",
          });
        }
        const given = {
          judge: chosen,
          ...(options.roles === undefined ? {} : { roles: options.roles }),
          signal: io.signal,
          on_progress: showProgress(io),
        };
        if (options.dry_run === true) {
          const plan = await planJudging(folder, given);
          await printPlan(io, plan);
          await io.result({ run: folder, dry_run: true, ...plan });
          return undefined;
        }
        const run = await judge(folder, given);
        for (const warning of run.warnings) await io.warn(warning);
        const next = afterRun(run, folder);
        await printScores(io, run, folder);
        await io.print(next === undefined ? NOTHING : `Next: ${next}`);
        await io.result({
          run: folder,
          ...scoresOf(run),
          judges: run.judges,
          warnings: run.warnings,
          next: next ?? null,
        });
        return undefined;
      }),
    );
}

/** What there is to say where scores allow no axis. */
export const NOTHING =
  "Fewer than two roles have a response fully in role: fit needs more responses, or another judge.";
