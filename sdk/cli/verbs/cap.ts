import type { Command } from "commander";
import { cap, readAxis } from "../../science/index.ts";
import { verb } from "../io.ts";
import { command, modelArguments, pathArgument } from "../next.ts";
import { layerRange, realNumber } from "../options.ts";
import { checkReplaces } from "../outputs.ts";

interface Options {
  layers?: { start: number; end: number };
  percentile?: number;
  out: string;
  json?: boolean;
}

export function addCap(program: Command): void {
  program
    .command("cap")
    .description("make activation caps from an axis")
    .argument("[axis]", "file that fit wrote", "axis.safetensors")
    .option(
      "--layers <start:end>",
      "layers to cap, end exclusive (default: the recipe's, else the depths that the paper caps)",
      layerRange,
    )
    .option(
      "--percentile <p>",
      "of the collected projections, 0 to 100 (default: the recipe's, else 25)",
      realNumber,
    )
    .option("--out <file>", "where the caps go", "cap.safetensors")
    .option("--json", "print one JSON object on stdout and nothing else")
    .addHelpText(
      "after",
      "\nExamples:\n  $ capstan cap axis.safetensors\n  $ capstan cap axis.safetensors --layers 4:6 --percentile 25",
    )
    .action(
      verb(async (io, options: Options, path: string) => {
        await checkReplaces(options.out, "capstan.cap");
        const axis = await readAxis(path);
        const caps = cap(axis, {
          ...(options.layers === undefined ? {} : { layers: options.layers }),
          ...(options.percentile === undefined ? {} : { percentile: options.percentile }),
        });
        await caps.save(options.out);
        const { start, end } = caps.layers;
        const floors = Array.from(caps.data.floors);
        await io.print(
          `caps on layers ${start}:${end} at percentile ${caps.percentile}: floors ${floors.map((x) => x.toFixed(2)).join(", ")}`,
        );
        const next = command("chat", ...modelArguments(caps.model), "--cap", pathArgument(options.out));
        await io.print(`wrote ${options.out}`);
        await io.print(`Next: ${next}`);
        await io.result({
          out: options.out,
          model: caps.model,
          layers: caps.layers,
          percentile: caps.percentile,
          floors,
          next,
        });
        return undefined;
      }),
    );
}
