import { CapstanError, type Hook, show } from "../../../models/index.ts";
import * as rules from "../../common/options.ts";
import { type Rules, readOptions } from "../../common/options.ts";
import { checkModel } from "../../inference/check_model.ts";
import { readText } from "../../platform/index.ts";
import { checkRoles } from "../../text/index.ts";
import type { CacheOptions, Message, Model, QueueOptions, Span, TemplateArgs } from "../../types.ts";
import { type Axis, checkDtype, checkFits } from "../axis/axis.ts";
import { checkAxis } from "../inputs.ts";
import { residPost } from "../layers.ts";
import type { OnProgress } from "../progress.ts";
import { parseJson } from "../recipe/recipe.ts";
import { checkMessages } from "./messages.ts";
import { readingLayer } from "./reading.ts";
import { type TurnProjection, turnsOf } from "./turns.ts";
import { type EncodedWindow, type Window, windowsOf } from "./windows.ts";

/** A conversation as it was: messages, the published transcript form, or a JSON file of either. */
export type TranscriptInput =
  | string
  | readonly Message[]
  | { model?: string; conversation: readonly Message[] };

/** How a transcript is projected. */
export interface ProjectOptions extends QueueOptions, CacheOptions {
  /** What `fit` or `readAxis` gave. */
  axis: Axis;
  /**
   * Layer that is read, from 0. Default: the axis's target layer; under hooks that all act behind it, the last one that
   * they act on.
   */
  layer?: number;
  /** Turns of the assistant below it are alerts; any number. Default: percentile 25 of the collected responses. */
  threshold?: number;
  /** Hooks to run it under, such as caps. Default: none. */
  hooks?: readonly Hook[];
  /**
   * Tokens that are read at once, from 1 to the model's `n_ctx`. Default: `n_ctx`. A longer conversation is read in windows
   * of whole messages, each with the system message: `Projection.windows`.
   */
  window?: number;
  /** Further arguments of the chat template. Default: none. */
  template_args?: TemplateArgs;
  /** Ends the call with `aborted`. Default: none. */
  signal?: AbortSignal;
  /** Called as it is read; `done` and `total` are tokens, a window's past among them. Default: none. */
  on_progress?: OnProgress;
}

const OPTIONS: Rules<ProjectOptions> = {
  axis: rules.checkedLater,
  layer: rules.whole(0),
  threshold: rules.number(),
  hooks: rules.hooks,
  window: rules.whole(1),
  template_args: rules.record,
  ...rules.QUEUE,
  ...rules.CACHE,
  signal: rules.signal,
  on_progress: rules.callback,
};

/** Projections of a transcript, by token and by turn. */
export interface Projection {
  layer: number;
  threshold: number;
  turns: TurnProjection[];
  /** Tokens that were read at once at the most. */
  window: number;
  /**
   * How the conversation was read: its messages [start, end), with those from `context` on before them as their past,
   * and the system message before all. One window where it fits whole.
   */
  windows: Window[];
  /**
   * Every token of the rendered chat, of the windows' own parts one after the other: its id, the message it belongs to
   * (null: the template's own), p.
   */
  tokens: { ids: Int32Array; turns: (number | null)[]; projections: Float32Array };
  warnings: string[];
}

/** `project` of `verbs.ts`. */
export async function project(
  model: Model,
  transcript: TranscriptInput,
  given: ProjectOptions,
): Promise<Projection> {
  checkModel(model, "project");
  const options = readOptions("project", given, OPTIONS);
  const axis = checkAxis(options.axis, "project");
  const messages = await readTranscript(transcript);
  checkRoles(messages, model.tokenizer.chat_template, "project");
  const { layer, note } = readingLayer(axis, options.hooks ?? [], options.layer, "project");
  const warnings = [
    ...checkFits(model, axis, "axis"),
    ...checkDtype(model, axis),
    ...(note === undefined ? [] : [note]),
  ];
  const threshold = options.threshold ?? axis.percentile(layer, 25);
  const window = checkWindow(options.window ?? model.n_ctx, model.n_ctx);
  const encode = (part: readonly Message[]) =>
    model.encodeChat(part, { ...options.template_args, add_generation_prompt: false });
  const larger = `Give a larger window (--window), up to the model's n_ctx of ${model.n_ctx}, or cut the message.`;
  const windows = windowsOf(messages, window, encode, window < model.n_ctx ? larger : undefined);
  const probe: Hook = { kind: "project", site: residPost(layer), vector: axis.direction(layer), name: PROBE };
  const hooks = [...(options.hooks ?? []), probe];
  const report = progressOf(windows, options.on_progress);
  const parts: OwnTokens[] = [];
  for (const part of windows) {
    const values = await read(model, part.encoded.tokens, hooks, report, options);
    parts.push(ownTokens(part, values, parts.at(-1)?.n_trailing ?? 0));
  }
  const tokens = joined(parts);
  return {
    layer,
    threshold,
    turns: turnsOf(messages, tokens, threshold),
    window,
    windows: windows.map(({ context, start, end }) => ({ context, start, end })),
    tokens,
    warnings,
  };
}

const PROBE = "the projection of project()";
/** Tokens a call: between two, progress is shown and an abort is seen. */
const CHUNK = 256;

function checkWindow(window: number, n_ctx: number): number {
  if (window <= n_ctx) return window;
  const need = `a window of at most ${n_ctx} tokens, the model's n_ctx`;
  throw new CapstanError("bad_request", { action: "project", need, found: show(window) });
}

/** Projections of these tokens, [tokens.length]. */
async function read(
  model: Model,
  tokens: Int32Array,
  hooks: readonly Hook[],
  report: (tokens: number) => void,
  { signal, queue, client, cache_salt }: ProjectOptions,
): Promise<Float32Array> {
  const call = {
    logits: "none" as const,
    ...(signal === undefined ? {} : { signal }),
    ...(queue === undefined ? {} : { queue }),
    ...(client === undefined ? {} : { client }),
  };
  // What acts on the last position of a call is meant for the last of the whole.
  const chunk = hooks.some((hook) => "positions" in hook && hook.positions === "last")
    ? tokens.length
    : CHUNK;
  const values = new Float32Array(tokens.length);
  await using session = await model.session({
    hooks,
    ...(cache_salt === undefined ? {} : { cache_salt }),
  });
  for (let start = 0; start < tokens.length; start += chunk) {
    const { projections } = await session.forward(tokens.subarray(start, start + chunk), call);
    values.set(projections[PROBE]!, start);
    report(Math.min(chunk, tokens.length - start));
  }
  return values;
}

function progressOf(windows: readonly EncodedWindow[], on_progress: OnProgress | undefined) {
  const total = windows.reduce((sum, { encoded }) => sum + encoded.tokens.length, 0);
  const began = performance.now();
  let done = 0;
  return (tokens: number) => {
    done += tokens;
    const tok_per_s = (1000 * done) / (performance.now() - began);
    on_progress?.({
      phase: "project",
      done,
      total,
      tokens: done,
      tok_per_s,
      eta_s: (total - done) / tok_per_s,
    });
  };
}

/** The tokens of a window that are its own, with the message each belongs to. */
interface OwnTokens {
  ids: Int32Array;
  turns: (number | null)[];
  projections: Float32Array;
  /** The template's tokens behind the last message. */
  n_trailing: number;
}

/** Leaves a window's past out, and what the template puts behind it: the window before has both (`n_before`). */
function ownTokens(
  { encoded, turns, start }: EncodedWindow,
  values: Float32Array,
  n_before: number,
): OwnTokens {
  const { tokens, spans } = encoded;
  const owners: (number | null)[] = new Array(tokens.length).fill(null);
  for (const span of spans) owners.fill(turns[span.turn]!, span.start, span.end);
  const last_past = spans.findLast(({ turn }) => turns[turn]! < start);
  const from =
    last_past === undefined ? 0 : Math.min(last_past.end + n_before, spanOf(spans, turns, start).start);
  return {
    ids: tokens.subarray(from),
    turns: owners.slice(from),
    projections: values.subarray(from),
    n_trailing: tokens.length - (spans.at(-1)?.end ?? 0),
  };
}

function spanOf(spans: readonly Span[], turns: readonly number[], turn: number): Span {
  return spans.find((span) => turns[span.turn] === turn)!;
}

function joined(parts: readonly OwnTokens[]): Projection["tokens"] {
  return {
    ids: Int32Array.from(parts.flatMap(({ ids }) => [...ids])),
    turns: parts.flatMap(({ turns }) => turns),
    projections: Float32Array.from(parts.flatMap(({ projections }) => [...projections])),
  };
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
