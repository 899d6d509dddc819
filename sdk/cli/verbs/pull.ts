import type { Command } from "commander";
import { pull } from "../../checkpoint/hub/index.ts";
import { verb } from "../io.ts";
import { bytes, count } from "../progress.ts";

interface Options {
  include?: string[];
  json?: boolean;
}

export function addPull(program: Command): void {
  program
    .command("pull")
    .description("fetch a model from the Hugging Face hub into the cache that Python uses too")
    .argument("<model>", "owner/name, or owner/name@revision (a branch, a tag, a commit)")
    .option("--include <pattern...>", 'files to fetch, such as "*.safetensors" (default: what load reads)')
    .option("--json", "print one JSON object on stdout and nothing else")
    .addHelpText(
      "after",
      `
Examples:
  $ capstan pull Qwen/Qwen3-0.6B
  $ capstan pull owner/name@v1.0 --include "*.json" "*.txt"

What was interrupted goes on where it was. HF_HOME and HF_HUB_CACHE say where the cache lies, HF_TOKEN opens gated and
private models, HF_ENDPOINT names another hub.`,
    )
    .action(
      verb(async (io, options: Options, model: string) => {
        const result = await pull(model, {
          ...(options.include === undefined ? {} : { include: options.include }),
          signal: io.signal,
          on_progress: ({ done, total, file }) =>
            io.progress.update(`${bytes(done)} of ${bytes(total)}, ${file}`),
        });
        if (result.renamed_to !== undefined) await io.note(`${result.id} is ${result.renamed_to} now`);
        await io.print(
          `${count(result.files.length)} files, ${bytes(result.bytes)}, of them ${bytes(result.fetched_bytes)} fetched now`,
        );
        await io.print(`commit ${result.commit}`);
        await io.print(result.folder);
        await io.result(result);
        return undefined;
      }),
    );
}
