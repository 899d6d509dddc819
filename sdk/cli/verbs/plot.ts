import { Argument, type Command } from "commander";
import { CapstanError, isObject, show } from "../../../models/index.ts";
import { basename, readText, shortPath } from "../../platform/index.ts";
import { readAxis } from "../../science/index.ts";
import { PLOT_KINDS, type PlotInputs, type PlotKind, plot, savePlot } from "../../science/plots/index.ts";
import { parseJson } from "../../science/recipe/recipe.ts";
import { verb } from "../io.ts";
import { wholeNumber } from "../options.ts";

interface Options {
  out?: string;
  capped?: string[];
  layer?: number;
  title?: string;
  json?: boolean;
}

/** What each kind is drawn from, for help. */
const READS: Readonly<Record<PlotKind, string>> = {
  "persona-space": "an axis file of fit (default: axis.safetensors)",
  drift: "what project --json printed, a file a conversation; or what demo --json printed",
  evaluation: "what evaluate --json printed",
};

export function addPlot(program: Command): void {
  const kinds = Object.keys(PLOT_KINDS) as PlotKind[];
  program
    .command("plot")
    .description("draw a picture of the experiment: persona space, drift, or what an evaluation found")
    .addArgument(new Argument("<kind>", "what to draw").choices(kinds))
    .argument("[inputs...]", "the files it is drawn from, as below")
    .option("--out <file>", "where the picture goes, .svg or .png (default: <kind>.svg)")
    .option("--capped <file...>", "drift: the same conversations projected under caps (default: none)")
    .option("--layer <i>", "persona-space: which layer (default: the axis's target layer)", wholeNumber)
    .option(
      "--title <text>",
      "drift and evaluation: what the title names, such as the model (default: nothing)",
    )
    .option("--json", "print one JSON object on stdout and nothing else")
    .addHelpText(
      "after",
      `
Kinds, and what they are drawn from:
${kinds.map((kind) => `  ${kind.padEnd(14)} ${PLOT_KINDS[kind]};\n  ${"".padEnd(14)} ${READS[kind]}`).join("\n")}

Pictures need the packages vega and vega-lite, PNG @resvg/resvg-js as well. The same input draws the same bytes.

Examples:
  $ capstan plot persona-space axis.safetensors --out space.svg
  $ capstan project chat.json --json > plain.json
  $ capstan project chat.json --cap cap.safetensors --json > capped.json
  $ capstan plot drift plain.json --capped capped.json
  $ capstan evaluate --json | capstan plot evaluation -`,
    )
    .action(
      verb(async (io, options: Options, kind: PlotKind, inputs: string[]) => {
        const out = options.out ?? `${kind}.svg`;
        const { layer, title, capped } = options;
        if (capped !== undefined && kind !== "drift") throw wrong(kind, "--capped with drift alone", "it");
        if (layer !== undefined && kind !== "persona-space") {
          throw wrong(kind, "--layer with persona-space alone", "it");
        }
        const read = await READERS[kind](inputs, capped ?? []);
        const spec = plot(kind, read as never, {
          ...(layer === undefined ? {} : { layer }),
          ...(title === undefined ? {} : { model: title }),
        });
        await savePlot(spec, out);
        await io.print(`wrote ${shortPath(out)}`);
        await io.result({ kind, out });
        return undefined;
      }),
    );
}

const READERS: { [K in PlotKind]: (inputs: string[], capped: string[]) => Promise<PlotInputs[K]> } = {
  "persona-space": async (inputs) => await readAxis(one(inputs, "persona-space", "axis.safetensors")),
  drift: readConversations,
  evaluation: async (inputs) => {
    const path = one(inputs, "evaluation");
    const value = await readJsonFile(path);
    // A demo's JSON has it as a part.
    const found = isObject(value) && isObject(value.evaluation) ? value.evaluation : value;
    if (isObject(found) && isObject(found.suites)) return found as unknown as PlotInputs["evaluation"];
    throw wrongFile(path, "what `capstan evaluate --json` printed", value);
  },
};

async function readConversations(inputs: string[], capped: string[]): Promise<PlotInputs["drift"]> {
  if (inputs.length === 0) throw wrong("drift", "at least one file of `capstan project --json`", "none");
  if (capped.length > 0 && capped.length !== inputs.length) {
    throw wrong("drift", `as many files with --capped as without (${inputs.length})`, `${capped.length}`);
  }
  const conversations = [];
  for (const [i, path] of inputs.entries()) {
    const value = await readJsonFile(path);
    if (isObject(value) && Array.isArray(value.drifts)) conversations.push(...value.drifts);
    else {
      const under_caps = capped[i] === undefined ? undefined : await readProjection(capped[i]);
      const name = basename(path).replace(/\.json$/, "");
      const uncapped = asProjection(path, value);
      conversations.push({ name, uncapped, ...(under_caps === undefined ? {} : { capped: under_caps }) });
    }
  }
  return conversations as PlotInputs["drift"];
}

const readProjection = async (path: string) => asProjection(path, await readJsonFile(path));

function asProjection(path: string, value: unknown): unknown {
  if (isObject(value) && Array.isArray(value.turns) && "threshold" in value) return value;
  throw wrongFile(path, "what `capstan project --json` printed", value);
}

async function readJsonFile(path: string): Promise<unknown> {
  return parseJson(await readText(path), path);
}

function one(inputs: readonly string[], kind: PlotKind, otherwise?: string): string {
  const [path = otherwise, ...more] = inputs;
  if (path === undefined || more.length > 0)
    throw wrong(kind, `one file: ${READS[kind]}`, `${inputs.length}`);
  return path;
}

function wrong(kind: PlotKind, need: string, found: string): CapstanError {
  return new CapstanError("bad_request", { action: `plot ${kind}`, need, found });
}

function wrongFile(path: string, need: string, value: unknown): CapstanError {
  const keys = isObject(value)
    ? `an object with ${Object.keys(value).slice(0, 5).join(", ") || "nothing"}`
    : show(value);
  return new CapstanError("bad_file", { action: `read ${path}`, need, found: keys });
}
