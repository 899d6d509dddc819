import { CapstanError, type Hook } from "../../models/index.ts";
import * as rules from "../options.ts";
import { type Rules, readOptions } from "../options.ts";
import { readText } from "../platform/index.ts";
import type { Message, Model, TemplateArgs } from "../types.ts";
import { type Axis, checkFits } from "./axis.ts";
import { checkAxis, checkModel } from "./inputs.ts";
import { checkLayer, residPost } from "./layers.ts";
import { checkMessages } from "./messages.ts";
import { parseJson } from "./recipe.ts";

/** A conversation as it was: messages, the published transcript form, or a JSON file of either. */
export type TranscriptInput =
  | string
  | readonly Message[]
  | { model?: string; conversation: readonly Message[] };

export interface ProjectOptions {
  axis: Axis;
  /** Default: the axis's target layer. */
  layer?: number;
  /** Turns of the assistant below it are alerts. Default: percentile 25 of the collected responses. */
  threshold?: number;
  /** Hooks to run it under, such as caps. */
  hooks?: readonly Hook[];
  /** Further arguments of the chat template. */
  template_args?: TemplateArgs;
  signal?: AbortSignal;
}

const OPTIONS: Rules<ProjectOptions> = {
  axis: rules.checkedLater,
  layer: rules.whole(0),
  threshold: rules.number(),
  hooks: rules.hooks,
  template_args: rules.record,
  signal: rules.signal,
};

/** One turn on the axis. */
export interface TurnProjection {
  /** Index of the message. */
  turn: number;
  role: string;
  /** Tokens of its content. */
  tokens: number;
  /** Mean over its tokens; null for an empty turn. */
  projection: number | null;
  /** Less the first assistant turn's; null for other roles' turns. */
  drift: number | null;
  /** Whether an assistant's turn fell below the threshold. */
  alert: boolean;
}

export interface Projection {
  layer: number;
  threshold: number;
  turns: TurnProjection[];
  /** Every token of the rendered chat: its id, the message it belongs to (null: the template's own), p. */
  tokens: { ids: Int32Array; turns: (number | null)[]; projections: Float32Array };
  warnings: string[];
}

/**
 * Projects a conversation on the Assistant axis, token by token and turn by turn (paper, section 4).
 *
 * @throws CapstanError `bad_file`, `bad_request`, `context_overflow`, `tokenizer`, `aborted`
 */
export async function project(
  model: Model,
  transcript: TranscriptInput,
  given: ProjectOptions,
): Promise<Projection> {
  checkModel(model, "project");
  const options = readOptions("project", given, OPTIONS);
  const axis = checkAxis(options.axis, "project");
  const messages = await readTranscript(transcript);
  const layer = checkLayer(options.layer ?? axis.target_layer, axis.n_layers, "project");
  const warnings = checkFits(model, axis, "axis");
  const threshold = options.threshold ?? axis.percentile(layer, 25);
  const { tokens, spans } = model.encodeChat(messages, {
    ...options.template_args,
    add_generation_prompt: false,
  });
  const probe: Hook = { kind: "project", site: residPost(layer), vector: axis.direction(layer), name: PROBE };
  const { projections } = await model.forward(tokens, {
    hooks: [...(options.hooks ?? []), probe],
    logits: "none",
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const values = projections[PROBE]!;
  const owners: (number | null)[] = new Array(tokens.length).fill(null);
  for (const { turn, start, end } of spans) owners.fill(turn, start, end);
  const means = messages.map((_, turn) => meanWhere(values, owners, turn));
  return {
    layer,
    threshold,
    turns: turnsOf(messages, means, threshold),
    tokens: { ids: tokens, turns: owners, projections: values },
    warnings,
  };
}

const PROBE = "the projection of project()";

function turnsOf(
  messages: readonly Message[],
  means: readonly { mean: number | null; count: number }[],
  threshold: number,
): TurnProjection[] {
  const first =
    means.find(({ mean }, turn) => messages[turn]!.role === "assistant" && mean !== null)?.mean ?? null;
  return messages.map(({ role }, turn) => {
    const { mean, count } = means[turn]!;
    const own = role === "assistant" && mean !== null;
    return {
      turn,
      role,
      tokens: count,
      projection: mean,
      drift: own ? mean - first! : null,
      alert: own && mean < threshold,
    };
  });
}

function meanWhere(
  values: Float32Array,
  owners: readonly (number | null)[],
  turn: number,
): { mean: number | null; count: number } {
  let [sum, count] = [0, 0];
  for (const [i, owner] of owners.entries()) {
    if (owner !== turn) continue;
    sum += values[i]!;
    count += 1;
  }
  return { mean: count === 0 ? null : sum / count, count };
}

/** The messages of a transcript. Throws `not_found`, `bad_file`. */
export async function readTranscript(input: TranscriptInput): Promise<Message[]> {
  const value: unknown = typeof input === "string" ? parseJson(await readText(input), input) : input;
  const where = typeof input === "string" ? input : "the transcript";
  const list = Array.isArray(value) ? value : (value as { conversation?: unknown } | null)?.conversation;
  if (list === undefined) {
    const need = "messages, or { model, conversation: [{ role, content }] }";
    throw new CapstanError("bad_file", { action: `read ${where}`, need, found: "neither" });
  }
  return checkMessages(list, where);
}
