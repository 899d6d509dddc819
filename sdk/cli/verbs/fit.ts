import type { Command } from "commander";
import { type Axis, fit } from "../../science/index.ts";
import { type Io, verb } from "../io.ts";
import { command, pathArgument } from "../next.ts";
import { wholeNumber } from "../options.ts";
import { checkReplaces } from "../outputs.ts";

interface Options {
  out: string;
  judge_id?: string;
  min_count?: number;
  target_layer?: number;
  json?: boolean;
}

export function addFit(program: Command): void {
  program
    .command("fit")
    .description("fit the Assistant axis to a run")
    .argument("[run]", "folder that collect wrote", "run")
    .option("--out <file>", "where the axis goes", "axis.safetensors")
    .option("--judge_id <id>", "whose scores count, where several judges scored (default: the only one)")
    .option(
      "--min_count <n>",
      "responses fully in role that a role needs (default: the recipe's, else 50)",
      wholeNumber,
    )
    .option("--target_layer <i>", "default: the recipe's, else the middle one", wholeNumber)
    .option("--json", "print one JSON object on stdout and nothing else")
    .addHelpText(
      "after",
      "\nExamples:\n  $ capstan fit run\n  $ capstan fit run --min_count 10 --out axis.safetensors",
    )
    .action(
      verb(async (io, options: Options, run: string) => {
        await checkReplaces(options.out, "capstan.axis");
        const warnings: string[] = [];
        const axis = await fit(run, {
          ...(options.judge_id === undefined ? {} : { judge_id: options.judge_id }),
          ...(options.min_count === undefined ? {} : { min_count: options.min_count }),
          ...(options.target_layer === undefined ? {} : { target_layer: options.target_layer }),
          on_warning: (text) => {
            warnings.push(text);
            void io.warn(text);
          },
          signal: io.signal,
        });
        await axis.save(options.out);
        await printAxis(io, axis);
        const next = command("cap", pathArgument(options.out));
        await io.print(`wrote ${options.out}`);
        await io.print(`Next: ${next}`);
        await io.result({ out: options.out, ...axisSummary(axis), warnings, next });
        return undefined;
      }),
    );
}

/** What an axis says of itself in numbers. */
export function axisSummary(axis: Axis) {
  const { target_layer, roles, cos_pc1, dims70 } = axis;
  return {
    model: axis.model,
    target_layer,
    roles,
    left_out: axis.left_out,
    judge: axis.data.made.judge,
    pc1_cosine: cos_pc1[target_layer],
    pc1_cosines: cos_pc1,
    dims70,
  };
}

/** Names the roles that have no part in the axis, and says why. */
async function printLeftOut(io: Io, axis: Axis): Promise<void> {
  const { left_out } = axis;
  if (left_out.length > 0)
    await io.print(`left out, ${left_out.length} of ${left_out.length + axis.roles.length} roles:`);
  for (const { role, why } of left_out) await io.print(`  ${role}: ${why}`);
  const { responses, scored, unscored } = axis.data.made.scores;
  const waiting = responses - scored - unscored;
  if (waiting > 0)
    await io.print(`${waiting} of ${responses} responses are not judged yet: they count for nothing`);
}

/** Prints the persona space at the target layer: roles ordered along the axis. */
export async function printAxis(io: Io, axis: Axis): Promise<void> {
  const layer = axis.target_layer;
  const points = axis.points(layer).toSorted((a, b) => a.projection - b.projection);
  const assistant = axis.defaultProjection(layer);
  const low = Math.min(assistant, ...points.map((point) => point.projection));
  const high = Math.max(assistant, ...points.map((point) => point.projection));
  const width = 40;
  const place = (value: number) => Math.round(((value - low) / (high - low || 1)) * (width - 1));
  await io.print(`Persona space at layer ${layer}: mean projection on the axis, Assistant to the right`);
  const lines = [
    ...points.map(({ role, projection }) => ({ name: role, projection })),
    { name: "* default", projection: assistant },
  ];
  for (const { name, projection } of lines.toSorted((a, b) => a.projection - b.projection)) {
    const bar = `${"·".repeat(place(projection))}●`.padEnd(width);
    await io.print(`  ${name.padEnd(24)} ${bar} ${projection.toFixed(2).padStart(8)}`);
  }
  const explained = Array.from(axis.explained(layer).slice(0, 3), (x) => `${(100 * x).toFixed(0)} %`);
  const n = axis.dims70[layer]!;
  await io.print(
    `  variance explained by PC1..3: ${explained.join(", ")}; ${n} ${n === 1 ? "dimension" : "dimensions"} for 70 %; ` +
      `cos(PC1, axis) ${axis.cos_pc1[layer]!.toFixed(2)} here, ${Math.min(...axis.layers.map((one) => axis.cos_pc1[one]!)).toFixed(2)} at the least`,
  );
  await printLeftOut(io, axis);
}
