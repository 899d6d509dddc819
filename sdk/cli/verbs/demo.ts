import type { Command } from "commander";
import { CapstanError } from "../../../models/index.ts";
import { generate } from "../../inference/generate.ts";
import { exists, joinPath, packageFile, remove, shortPath, writeFileAtomic } from "../../platform/index.ts";
import {
  type Axis,
  type Caps,
  type CollectOptions,
  cap,
  collect,
  type Drift,
  drift,
  type Evaluation,
  evaluate,
  fit,
  passes,
  planCollect,
  type Recipe,
  readDemoCases,
  readDriftScripts,
  readRecipe,
} from "../../science/index.ts";
import { canDrawPng, type PlotSpec, plot, savePlot } from "../../science/plots/index.ts";
import { contentText } from "../../text/index.ts";
import type { Model } from "../../types.ts";
import { collectingOf, items } from "../collecting.ts";
import { type Io, verb } from "../io.ts";
import { addJudgingOptions, type JudgingOptions, judgeOf } from "../judging.ts";
import { modelArguments, command as nextCommand, pathArgument } from "../next.ts";
import {
  addModelOptions,
  DEFAULT_MODEL,
  loadModel,
  type ModelOptions,
  wholeNumber,
  wholeNumberFrom1,
} from "../options.ts";
import { count, duration } from "../progress.ts";
import { showProgress } from "../science.ts";
import { summarize } from "./collect.ts";
import { printEvaluation } from "./evaluate.ts";
import { axisSummary, printAxis } from "./fit.ts";

interface Options extends ModelOptions, JudgingOptions {
  out: string;
  limit: number;
  roles?: string[];
  questions?: string[];
  responses?: number;
  max_tokens?: number;
}

/** What a model without a recipe does, so that one of some hundred million weights is done in minutes on two cores. */
const FEW = { responses: 3, max_tokens: 24, conversations: 1 } as const;
/** Of the embedded model's roles, from near the Assistant to far. */
const FEW_ROLES = [
  "librarian",
  "clerk",
  "mechanic",
  "nurse",
  "teacher",
  "storyteller",
  "sailor",
  "pirate",
  "jester",
  "prophet",
  "poltergeist",
  "werewolf",
] as const;

export function addDemo(program: Command): void {
  const command = program
    .command("demo")
    .description("the whole experiment: collect, fit, cap, generate, evaluate, plot")
    .option("--out <folder>", "where its files go", "capstan-demo")
    .option("--limit <n>", "prompts of each group in the table", wholeNumberFrom1, 30)
    .option(
      "--roles <from...>",
      `as in collect; names and ranges without a folder are of the embedded model's (default: the recipe's, else ${FEW_ROLES.length} of those)`,
      items,
    )
    .option(
      "--questions <from...>",
      "as in collect; without a file, of the embedded model's (default: as of --roles)",
      items,
    )
    .option(
      "--responses <n>",
      `replies of each role (default: all, without a recipe ${FEW.responses})`,
      wholeNumber,
    )
    .option(
      "--max_tokens <n>",
      `longest reply of a role (default: the recipe's, else ${FEW.max_tokens}, in conversations too)`,
      wholeNumber,
    );
  addModelOptions(addJudgingOptions(command, "none is the recipe's (default: the recipe's)")).addHelpText(
    "after",
    "\nExamples:\n  $ capstan demo\n  $ capstan demo --out results --json\n  $ capstan demo --model ./my-chat-model --judge all\n  $ capstan demo --model ./my-chat-model --judge all --roles 0:45 --responses 20 --max_tokens 128",
  );
  command.action(
    verb(async (io, options: Options) => {
      const began = performance.now();
      await checkFolder(options.out);
      const model = await loadModel(io, options);
      try {
        await io.print(
          `${model.id}: ${model.spec.n_layers} layers, d_model ${model.spec.d_model}, on ${model.device.description}\n`,
        );
        await runDemo(io, model, options, began);
        return undefined;
      } finally {
        await model.dispose();
      }
    }),
  );
}

async function runDemo(io: Io, model: Model, options: Options, began: number): Promise<void> {
  const file = (name: string) => joinPath(options.out, name);
  const recipe = await readRecipe(model);
  const { axis, collected } = await makeAxis(io, model, recipe, options);
  const caps = cap(axis);
  await axis.save(file("axis.safetensors"));
  await caps.save(file("cap.safetensors"));

  const replies = await compareReplies(io, model, caps);
  const has_suite = recipe.suites?.test !== undefined;
  if (!has_suite)
    await io.print(
      "No table of what the cap does: the model's capstan.json names no suite test (capstan evaluate --suites)\n",
    );
  const evaluation = has_suite ? await tryCap(io, model, axis, caps, options) : null;
  const drifts = await playDrift(io, model, recipe, axis, caps, options);
  const pictures = await drawPictures(io, axis, drifts, evaluation, model, options.out);
  const files = [file("axis.safetensors"), file("cap.safetensors"), ...pictures];
  const seconds = (performance.now() - began) / 1000;
  await io.print(`Wrote, in ${duration(seconds)}:`);
  for (const path of files) await io.print(`  ${shortPath(path)}`);
  const named = argumentsOf(model, options);
  const cap_path = pathArgument(shortPath(file("cap.safetensors")));
  await io.print(`\nNext: ${nextCommand("chat", ...named, "--cap", cap_path)}`);
  if (evaluation !== null) await io.print(`Next: ${nextCommand("evaluate", ...named)}`);
  await io.result({
    model: model.id,
    device: model.device,
    warnings: model.warnings,
    seconds,
    collected,
    axis: axisSummary(axis),
    replies,
    evaluation,
    drifts,
    files,
  });
}

/** In the run of a demo, which the next demo there removes: no other run is its to remove. */
const MARK = "made_by_demo";

/**
 * Refuses a folder that holds a run, an axis or caps that no demo made: a demo begins with new ones.
 *
 * @throws CapstanError `bad_request`
 */
async function checkFolder(out: string): Promise<void> {
  if (await exists(joinPath(out, "run", MARK))) return;
  for (const name of ["run", "axis.safetensors", "cap.safetensors"]) {
    if (!(await exists(joinPath(out, name)))) continue;
    const need = "a folder of its own, for it replaces run, axis and caps";
    const found = `${joinPath(out, name)}, which no demo made`;
    throw new CapstanError("bad_request", {
      action: "demo",
      need,
      found,
      fix: "Give another --out, or remove it.",
    });
  }
}

/** The pictures; a machine without vega goes without them, and stderr says so. */
async function drawPictures(
  io: Io,
  axis: Axis,
  drifts: Drift[],
  evaluation: Evaluation | null,
  model: Model,
  folder: string,
): Promise<string[]> {
  try {
    const pictures: Record<string, PlotSpec> = { "persona-space": plot("persona-space", axis) };
    if (drifts.length > 0) pictures.drift = plot("drift", drifts, { model: model.id });
    if (evaluation !== null) pictures.evaluation = plot("evaluation", evaluation, { model: model.id });
    const endings = (await canDrawPng()) ? ["svg", "png"] : ["svg"];
    const paths: string[] = [];
    for (const [name, spec] of Object.entries(pictures)) {
      for (const ending of endings) {
        const path = joinPath(folder, `${name}.${ending}`);
        await savePlot(spec, path);
        paths.push(path);
      }
    }
    return paths;
  } catch (error) {
    if (!(error instanceof CapstanError) || error.code !== "unsupported") throw error;
    await io.note(`capstan: no pictures: ${error.message}`);
    return [];
  }
}

async function tryCap(io: Io, model: Model, axis: Axis, caps: Caps, { limit }: Options): Promise<Evaluation> {
  await io.print("Does the cap hold on prompts it has never seen, and does it cost anything?");
  const on_progress = showProgress(io);
  const evaluation = await evaluate(model, {
    axis,
    caps,
    limit,
    controls: 1,
    signal: io.signal,
    on_progress,
  });
  await printEvaluation(io, evaluation);
  await io.print(`  (${limit} of each kind, 95 % intervals; capstan evaluate runs them all)\n`);
  return evaluation;
}

/** A file of the embedded model, whose roles and conversations serve models without their own. */
const embedded = (name: string) => packageFile(`models/${DEFAULT_MODEL}/${name}`);

/** How the model was loaded, for the next command. */
function argumentsOf(model: Model, { device = "auto", dtype = "auto", n_ctx }: Options): string[] {
  return [
    ...modelArguments({ id: model.id, source: model.source, ...(dtype === "auto" ? {} : { dtype }) }),
    ...(device === "auto" ? [] : ["--device", device]),
    ...(n_ctx === undefined ? [] : ["--n_ctx", String(n_ctx)]),
  ];
}

/** What collect is given: the recipe's, where the model has one and nothing else was asked for. */
async function collecting(io: Io, recipe: Recipe, options: Options): Promise<CollectOptions> {
  const judge = judgeOf(io, options);
  if ((judge ?? undefined) === undefined && recipe.judge === undefined) {
    throw new CapstanError("bad_request", {
      action: "demo",
      need: "a judge of the responses",
      found: "none, and a model whose folder names none",
      fix: "Try --judge all: every response counts as in its role.",
    });
  }
  const { roles, questions } = options;
  const given = {
    ...(await collectingOf({
      ...(roles === undefined ? {} : { roles }),
      ...(questions === undefined ? {} : { questions }),
    })),
    ...(options.responses === undefined ? {} : { limit: options.responses }),
    ...(options.max_tokens === undefined ? {} : { max_tokens: options.max_tokens }),
    ...(judge === undefined ? {} : { judge }),
  };
  if (recipe.roles !== undefined) return given;
  const few = given.roles === undefined ? { roles: embedded("roles"), only_roles: [...FEW_ROLES] } : {};
  return {
    ...few,
    questions: embedded("questions.jsonl"),
    limit: FEW.responses,
    max_tokens: FEW.max_tokens,
    ...given,
  };
}

/** What is going to be done, and how to have more of it. */
async function printPlan(io: Io, model: Model, recipe: Recipe, given: CollectOptions): Promise<void> {
  const { missing } = await planCollect(model, given);
  const longest = given.max_tokens ?? recipe.collect?.max_tokens;
  const of_tokens = longest === undefined ? "" : ` of at most ${longest} tokens`;
  await io.print(
    `Collecting ${count(missing)} replies${of_tokens} in many roles, with the residual stream after every layer`,
  );
  if (recipe.roles !== undefined) return;
  await io.print(
    `  (no capstan.json with roles in the model's folder: the embedded model's serve, ${given.limit} replies a role;\n` +
      "  --roles 0:45 --responses 20 --max_tokens 128 would make more of it)",
  );
}

async function makeAxis(
  io: Io,
  model: Model,
  recipe: Recipe,
  options: Options,
): Promise<{ axis: Axis; collected: object }> {
  const folder = joinPath(options.out, "run");
  const given = await collecting(io, recipe, options);
  await printPlan(io, model, recipe, given);
  // A demo shows the work; a run left by an earlier one would leave nothing to do.
  await remove(folder);
  await writeFileAtomic(joinPath(folder, MARK), "");
  const began = performance.now();
  const run = await collect(model, {
    ...given,
    out: folder,
    signal: io.signal,
    on_progress: showProgress(io),
  });
  const seconds = (performance.now() - began) / 1000;
  const collected = { ...summarize(run), seconds };
  await io.print(
    `  ${count(collected.responses)} replies in ${collected.roles} roles, ${count(collected.tokens)} tokens ` +
      `in ${duration(seconds)} (${count(collected.tokens / seconds)} tok/s)\n`,
  );
  const axis = await fit(run, {
    ...(options.judge === undefined ? {} : { min_count: 1 }),
    signal: io.signal,
  });
  await printAxis(io, axis);
  await io.print();
  return { axis, collected };
}

/** Held-out persona jailbreaks, uncapped beside capped. */
async function compareReplies(io: Io, model: Model, caps: Caps): Promise<object[]> {
  const cases = await readDemoCases(model);
  if (cases.length === 0) return [];
  const { start, end } = caps.layers;
  await io.print(`Persona jailbreaks it has never seen, uncapped and with caps on layers ${start}:${end}`);
  const shown = [];
  for (const { title, messages, check } of cases) {
    const ask = (hooks: Caps["hooks"]) =>
      generate(model, messages, { hooks, temperature: 0, max_tokens: 64, signal: io.signal }).result;
    const [uncapped, capped] = await Promise.all([ask([]), ask(caps.hooks)]);
    await io.print(`  ${title}`);
    for (const message of messages)
      await io.print(`    ${message.role.padEnd(9)} ${oneLine(contentText(message))}`);
    await io.print(`    uncapped  ${oneLine(uncapped.text)}`);
    await io.print(`    capped    ${oneLine(capped.text)}\n`);
    const worked = {
      uncapped: await passes(check, uncapped.text),
      capped: await passes(check, capped.text),
    };
    shown.push({ title, messages, uncapped: uncapped.text, capped: capped.text, worked });
  }
  return shown;
}

async function playDrift(
  io: Io,
  model: Model,
  recipe: Recipe,
  axis: Axis,
  caps: Caps,
  options: Options,
): Promise<Drift[]> {
  const own = recipe.drift !== undefined;
  const scripts = own
    ? await readDriftScripts(model, recipe)
    : (await readDriftScripts(model, recipe, embedded("drift.json"))).slice(-FEW.conversations);
  const max_tokens = own ? undefined : (options.max_tokens ?? FEW.max_tokens);
  const drifts = [];
  for (const script of scripts) {
    drifts.push(
      await drift(model, script, {
        axis,
        caps,
        ...(max_tokens === undefined ? {} : { max_tokens }),
        signal: io.signal,
        on_progress: showProgress(io),
      }),
    );
  }
  for (const { name, uncapped, capped } of drifts) {
    const line = (turns: Drift["uncapped"]) =>
      turns.map(({ projection }) => (projection ?? 0).toFixed(1).padStart(6)).join("");
    await io.print(`Drift over the conversation "${name}", projection by turn`);
    await io.print(`    uncapped ${line(uncapped)}`);
    if (capped !== undefined) await io.print(`    capped   ${line(capped)}`);
  }
  await io.print();
  return drifts;
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > 200 ? `${line.slice(0, 197)}...` : line;
}
