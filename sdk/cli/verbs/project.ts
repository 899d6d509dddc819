import type { Command } from "commander";
import { project, readAxis } from "../../science/index.ts";
import { readCapsFor } from "../caps.ts";
import { verb } from "../io.ts";
import { addModelOptions, loadModel, type ModelOptions, realNumber, wholeNumber } from "../options.ts";

interface Options extends ModelOptions {
  axis: string;
  cap?: string;
  layer?: number;
  threshold?: number;
}

export function addProject(program: Command): void {
  const command = program
    .command("project")
    .description("project a conversation on the axis, turn by turn; alerts below a threshold")
    .argument("<transcript>", "JSON: a list of messages, or { model, conversation }")
    .option("--axis <file>", "file that fit wrote", "axis.safetensors")
    .option("--cap <file>", "run it under the caps of a .cap.safetensors file")
    .option("--layer <i>", "default: the axis's target layer", wholeNumber)
    .option("--threshold <p>", "default: percentile 25 of the collected responses", realNumber);
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
          signal: io.signal,
        });
        for (const warning of result.warnings) await io.note(`capstan: ${warning}`);
        await io.print(`layer ${result.layer}, alert below ${result.threshold.toFixed(2)}`);
        for (const { turn, role, tokens, projection, drift, alert } of result.turns) {
          const value = projection === null ? "-" : projection.toFixed(2);
          const moved = drift === null ? "" : `  drift ${drift.toFixed(2)}`;
          const line = `${String(turn).padStart(3)} ${role.padEnd(10)} ${String(tokens).padStart(5)} tokens  ${value.padStart(8)}`;
          await io.print(`${line}${moved}${alert ? "  ALERT" : ""}`);
        }
        await io.result(result);
        return undefined;
      } finally {
        await model.dispose();
      }
    }),
  );
}
