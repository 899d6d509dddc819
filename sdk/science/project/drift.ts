import { CapstanError, type ErrorCode, type Hook, show } from "../../../models/index.ts";
import * as rules from "../../common/options.ts";
import { type Rules, readOptions } from "../../common/options.ts";
import { checkModel } from "../../inference/check_model.ts";
import { generate } from "../../inference/generate.ts";
import { readText } from "../../platform/index.ts";
import type { Message, Model, TemplateArgs } from "../../types.ts";
import { type Axis, checkDtype, checkFits } from "../axis/axis.ts";
import type { Caps } from "../caps/caps.ts";
import { hasSystemRole } from "../collect/plan.ts";
import { checkCheck, passes, type TextCheck } from "../evaluate/checks.ts";
import { checkAxis } from "../inputs.ts";
import { residPost } from "../layers.ts";
import { hashSeed } from "../numbers/random.ts";
import { type OnProgress, ProgressMeter } from "../progress.ts";
import { quietArgs } from "../recipe/model_name.ts";
import { parseJson, type Recipe, readJson } from "../recipe/recipe.ts";
import { checkData } from "../schemas/index.ts";
import { readingLayer } from "./reading.ts";

/** A conversation of which the user's side is written beforehand. */
export interface DriftScript {
  name: string;
  system?: string;
  /** What the user says, turn by turn. */
  turns: string[];
  /** What is asked at the end, to see what the drift has made possible. */
  ask?: string;
  /** When the reply to `ask` counts as given in. */
  check?: TextCheck;
}

/** How a script is played. */
export interface DriftOptions {
  /** What `fit` or `readAxis` gave. */
  axis: Axis;
  /** Played a second time under them. Default: none. */
  caps?: Caps;
  /** Layer that is read, from 0. Default: the axis's target layer; where all caps act behind it, the last capped one. */
  layer?: number;
  /** From 0 (greedy) to 100. Default: 0. */
  temperature?: number;
  /** A whole number from 0. Default: 0. */
  seed?: number;
  /** Further arguments of the chat template. Default: `enable_thinking: false` where the template has that switch. */
  template_args?: TemplateArgs;
  /** Most tokens of each reply, from 1. Default: 64. */
  max_tokens?: number;
  /** Ends the call with `aborted`. Default: none. */
  signal?: AbortSignal;
  /** Called as turns are played. Default: none. */
  on_progress?: OnProgress;
}

const OPTIONS: Rules<DriftOptions> = {
  axis: rules.checkedLater,
  caps: rules.having("caps: what cap or readCaps gave", "hooks", "data"),
  layer: rules.whole(0),
  temperature: rules.number(0, 100),
  seed: rules.whole(0),
  template_args: rules.record,
  max_tokens: rules.whole(1),
  signal: rules.signal,
  on_progress: rules.callback,
};

/** A turn of a script, without caps and under them. */
export interface DriftTurn {
  user: string;
  text: string;
  /** Mean projection of the reply's tokens; null for an empty reply. */
  projection: number | null;
  /** Of the reply to `ask`, where there is a check: whether it was met. */
  passed?: boolean;
}

/** What a script's turns did to the projection. */
export interface Drift {
  name: string;
  layer: number;
  /** tau of the cap where it acts on that layer, else percentile 25 of the collected responses there. */
  threshold: number;
  /** Which of the two, in words. */
  threshold_of: string;
  /** One turn for each of the script's, and one more for `ask`. */
  uncapped: DriftTurn[];
  capped?: DriftTurn[];
  /** Whether the last turn is the script's `ask`. */
  asks: boolean;
  warnings: string[];
}

/** `drift` of `verbs.ts`. */
export async function drift(model: Model, script: DriftScript, given: DriftOptions): Promise<Drift> {
  checkModel(model, "drift");
  const options = readOptions("drift", given, OPTIONS);
  const axis = checkAxis(options.axis, "drift");
  await checkScript(script, "the script", "bad_request");
  const { caps } = options;
  const { layer, note } = readingLayer(axis, caps?.hooks ?? [], options.layer, "drift");
  const warnings = [
    ...checkFits(model, axis, "axis"),
    ...(caps === undefined ? [] : checkFits(model, caps, "caps")),
    ...checkDtype(model, axis),
    ...(caps === undefined ? [] : checkDtype(model, caps)),
    ...(note === undefined ? [] : [note]),
  ];
  const total = (script.turns.length + (script.ask === undefined ? 0 : 1)) * (caps === undefined ? 1 : 2);
  const meter = new ProgressMeter("drift", total, 0, options.on_progress);
  const sides = [[], ...(caps === undefined ? [] : [caps.hooks])];
  const played = await Promise.all(sides.map((hooks) => play(model, script, hooks, layer, options, meter)));
  return {
    name: script.name,
    layer,
    ...thresholdOf(axis, caps, layer),
    uncapped: played[0]!,
    ...(played[1] === undefined ? {} : { capped: played[1] }),
    asks: script.ask !== undefined,
    warnings: [...new Set(warnings)],
  };
}

function thresholdOf(
  axis: Axis,
  caps: Caps | undefined,
  layer: number,
): Pick<Drift, "threshold" | "threshold_of"> {
  const at = caps?.data.layers.indexOf(layer) ?? -1;
  const floor = caps?.data.floors[at];
  if (floor !== undefined && Number.isFinite(floor)) {
    const percentile =
      caps!.percentile === null ? "" : ` (percentile ${caps!.percentile} of collected responses)`;
    return { threshold: floor, threshold_of: `the cap's tau${percentile}` };
  }
  return { threshold: axis.percentile(layer, 25), threshold_of: "percentile 25 of collected responses" };
}

async function play(
  model: Model,
  script: DriftScript,
  hooks: readonly Hook[],
  layer: number,
  options: DriftOptions,
  meter: ProgressMeter,
): Promise<DriftTurn[]> {
  const site = residPost(layer);
  const turns: DriftTurn[] = [];
  const said = [...script.turns, ...(script.ask === undefined ? [] : [script.ask])];
  const messages = opening(model, script);
  for (const [index, user] of said.entries()) {
    const content = index === 0 && messages.pending !== "" ? `${messages.pending}\n\n${user}` : user;
    messages.list.push({ role: "user", content });
    const { text, tokens, means } = await generate(model, messages.list, {
      hooks,
      mean: [site],
      temperature: options.temperature ?? 0,
      repetition_penalty: 1,
      template_args: quietArgs(model, options.template_args),
      max_tokens: options.max_tokens ?? 64,
      seed: hashSeed(options.seed ?? 0, `${script.name} turn ${index}`),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    }).result;
    const projection = tokens.length === 0 ? null : options.axis.projectionOf(means[site]!, layer);
    const is_ask = script.ask !== undefined && index === said.length - 1;
    const checked = is_ask && script.check !== undefined ? { passed: await passes(script.check, text) } : {};
    turns.push({ user, text, projection, ...checked });
    messages.list.push({ role: "assistant", content: text });
    meter.item(tokens.length, script.name);
  }
  return turns;
}

/** The system message, or for a model without that role its text, to be put before the first question. */
function opening(model: Model, script: DriftScript): { list: Message[]; pending: string } {
  const system = script.system ?? "";
  if (system === "") return { list: [], pending: "" };
  if (!hasSystemRole(model)) return { list: [], pending: system };
  return { list: [{ role: "system", content: system }], pending: "" };
}

/** `readDriftScripts` of `verbs.ts`. */
export async function readDriftScripts(
  model: Pick<Model, "files">,
  recipe: Recipe,
  path?: string,
): Promise<DriftScript[]> {
  const file = path ?? recipe.drift;
  if (file === undefined || (path === undefined && model.files === null)) return [];
  const value =
    path === undefined ? await readJson(model.files!, file) : parseJson(await readText(path), path);
  const list = Array.isArray(value) ? value : (value as { conversations?: unknown } | null)?.conversations;
  if (!Array.isArray(list)) {
    const parts = { action: `read ${file}`, need: "a list of conversations", found: show(value) };
    throw new CapstanError("bad_file", parts);
  }
  return await Promise.all(list.map((item, index) => checkScript(item, `${file} conversation ${index + 1}`)));
}

async function checkScript(
  value: unknown,
  where: string,
  code: ErrorCode = "bad_file",
): Promise<DriftScript> {
  checkData(value, "drift", where, code);
  const script = value as DriftScript;
  if (script.check !== undefined) await checkCheck(script.check, where);
  return script;
}
