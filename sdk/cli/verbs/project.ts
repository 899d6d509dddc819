import type { Command } from "commander";
import { project, readAxis } from "../../science/index.ts";
import { readCapsFor } from "../caps.ts";
import { verb } from "../io.ts";
import { addModelOptions, loadModel, type ModelOptions, realNumber, wholeNumber } from "../options.ts";
import { showProgress } from "../science.ts";
import { printTurns } from "../turns.ts";

interface Options extends ModelOptions {
  axis: string;
  cap?: string;
  layer?: number;
  threshold?: number;
  window?: number;
}

export function addProject(program: Command): void {
  const command = program
    .command("project")
    .description("project a conversation on the axis, turn by turn; alerts below a threshold")
    .argument("<transcript>", "JSON: a list of messages, or { model, conversation }")
    .option("--axis <file>", "file that fit wrote", "axis.safetensors")
    .option("--cap <file>", "run it under the caps of a .cap.safetensors file (default: none)")
    .option(
      "--layer <i>",
      "where it is read (default: the axis's target layer; under caps that all act behind it, the last capped one)",
      wholeNumber,
    )
    .option(
      "--threshold <p>",
      "below it a reply is an alert (default: percentile 25 of the responses)",
      realNumber,
    )
    .option(
      "--window <tokens>",
      "read a longer conversation in windows of whole messages, each with the system message (default: n_ctx)",
      wholeNumber,
    );
  addModelOptions(command).addHelpText(
    "after",
    "\nExamples:\n  $ capstan project conversation.json --axis out/axis.safetensors\n  $ capstan project conversation.json --json",
  );
  command.action(
    verb(async (io, options: Options, transcript: string) => {
      const axis = await readAxis(options.axis);
      const model = await loadModel(io, options);
      try {
        const caps = options.cap === undefined ? undefined : await readCapsFor(io, model, options.cap);
        const result = await project(model, transcript, {
          axis,
          hooks: caps?.hooks ?? [],
          ...(options.layer === undefined ? {} : { layer: options.layer }),
          ...(options.threshold === undefined ? {} : { threshold: options.threshold }),
          ...(options.window === undefined ? {} : { window: options.window }),
          signal: io.signal,
          on_progress: showProgress(io),
        });
        for (const warning of result.warnings) await io.warn(warning);
        await printTurns(io, result);
        await io.result(result);
        return undefined;
      } finally {
        await model.dispose();
      }
    }),
  );
}
