import { itemAt, lastOf, onlyOf } from "../../models/certain.ts";
import { CapstanError, type DecoderSpec, type Hook, readDecoder, type Site } from "../../models/index.ts";
import { hashSeed, randomDirection, uniforms } from "../../sdk/science/numbers/random.ts";
import { dot, unit } from "../../sdk/science/numbers/vectors.ts";
import { contentText } from "../../sdk/text/index.ts";
import type {
  EncodedChat,
  FileSource,
  ForwardOptions,
  ForwardResult,
  GenerateOptions,
  GenerateResult,
  Message,
  Model,
  Prompt,
  Reply,
  Session,
  Span,
  TemplateArgs,
} from "../../sdk/types.ts";

/**
 * A model for the tests of science, with the structure planted: a text `[d=0.7]` anywhere before sets the
 * distance from the Assistant, which moves every token's residual stream by -d * GAIN along a known direction
 * of each layer. What it says depends on the distance left after caps: far ones tell the secret.
 */

export const N_LAYERS = 4;
export const D_MODEL = 24;
export const GAIN = 8;
/** Distance of the model without any `[d=...]`. */
const DEFAULT_D = 0.1;
const WORDS = ["plainly", "warmly", "vividly", "grandly", "mystically"];

/** The planted axis of a layer, unit length; it points to the Assistant. */
export function plantedAxis(layer: number): Float32Array {
  return named(`planted ${layer}`);
}

/** The rules that fit what it says. */
export const FAKE_JUDGE = {
  kind: "markers" as const,
  levels: 5,
  markers: WORDS.map((text, level) => ({ text, level })),
  refusals: ["i cannot share"],
};

/** What each token's residual stream depends on: the last distance and theme named up to it. */
interface State {
  id: number;
  position: number;
  d: number;
  theme: string;
}

function statesOf(tokens: readonly number[]): State[] {
  const text = String.fromCharCode(...tokens);
  const marks = [...text.matchAll(/\[(?:d=([\d.]+)|t=(\w+))\]/g)].map(({ 0: all, 1: d, 2: theme, index }) => {
    return { end: index + all.length - 1, d, theme };
  });
  let [d, theme] = [DEFAULT_D, "none"];
  return tokens.map((id, position) => {
    for (const mark of marks.filter(({ end }) => end === position)) {
      if (mark.d !== undefined) d = Number(mark.d);
      theme = mark.theme ?? theme;
    }
    return { id, position, d, theme };
  });
}

const directions = new Map<string, Float32Array>();

function named(name: string): Float32Array {
  const found = directions.get(name) ?? randomDirection(hashSeed(5, name), D_MODEL);
  directions.set(name, found);
  return found;
}

/** The residual stream after `layer` at a token, before hooks. */
function residual({ id, position, d, theme }: State, layer: number): Float64Array {
  const axis = plantedAxis(layer);
  const themed = named(`theme ${theme} ${layer}`);
  const noise = named(`token ${id} ${position % 16} ${layer}`);
  return Float64Array.from(axis, (x, i) => -d * GAIN * x + 0.8 * themed[i]! + 0.3 * noise[i]!);
}

/** Applies a site's hooks in order; projections go to `read`. */
function hooked(
  h: Float64Array,
  site: Site,
  hooks: readonly Hook[],
  read: (name: string, p: number) => void,
): void {
  for (const hook of hooks.filter((one) => one.site === site)) {
    const v = unit(hook.vector);
    const p = dot(h, v);
    if (hook.kind === "project") read(hook.name ?? site, p);
    if (hook.kind !== "cap") continue;
    const move = Math.max((hook.floor ?? -Infinity) - p, 0) - Math.max(p - (hook.ceiling ?? Infinity), 0);
    for (let i = 0; i < h.length; i++) h[i]! += move * v[i]!;
  }
}

const charCodes = (text: string) => Array.from(text, (c) => c.charCodeAt(0));

/** The chat as characters: two control ones, and no merging of anything. */
function encodeChat(messages: readonly Message[], generation: boolean): { tokens: number[]; spans: Span[] } {
  const tokens: number[] = [];
  const spans: Span[] = [];
  const push = (text: string) => tokens.push(...charCodes(text));
  for (const [turn, message] of messages.entries()) {
    const { role } = message;
    push(`\u0001${role}\n`);
    const start = tokens.length;
    push(contentText(message));
    spans.push({ role, turn, start, end: tokens.length });
    push("\u0002\n");
  }
  if (generation) push("\u0001assistant\n");
  return { tokens, spans };
}

export interface FakeOptions {
  files?: Record<string, string>;
  digest?: string;
  /** Refuses system messages, as some templates do. */
  no_system?: boolean;
  id?: string;
  /** The longest prompt, in characters. Default: any. */
  n_ctx?: number;
  /** What its template is said to be; it renders as it does all the same. */
  chat_template?: string;
}

export function fakeModel(options: FakeOptions = {}): Model {
  const render = (messages: readonly Message[]) => {
    if (options.no_system && messages.some(({ role }) => role === "system"))
      throw new Error("no system role");
    const refused = messages.find(({ content }) => String(content).includes("[refused]"));
    if (refused !== undefined) throw refusal("bad_request", "messages that it takes", "another");
    return encodeChat(messages, messages.at(-1)?.role !== "assistant");
  };
  const encoded = (
    messages: readonly Message[],
    { add_generation_prompt }: TemplateArgs = {},
  ): EncodedChat => {
    const { tokens, spans } =
      add_generation_prompt === undefined ? render(messages) : encodeChat(messages, add_generation_prompt);
    return { tokens: Int32Array.from(tokens), spans };
  };
  const model: Model = {
    id: options.id ?? "fake",
    source: null,
    asked_dtype: "auto",
    n_ctx: options.n_ctx ?? Number.POSITIVE_INFINITY,
    digest: options.digest ?? "sha256:fake",
    spec: SPEC,
    tokenizer: {
      size: 2 ** 16,
      has_chat_template: true,
      chat_template: options.chat_template ?? null,
      encode: (text) => Int32Array.from(charCodes(text)),
      decode: (ids) => String.fromCharCode(...Array.from(ids as Iterable<number>)),
      renderChat: (messages) => String.fromCharCode(...render(messages).tokens),
      encodeChat: encoded,
      tokenId: () => undefined,
      dispose: () => {},
    },
    device: { kind: "wasm", description: "none", dtype: "f32" },
    memory: { weight_bytes: 0 },
    files: options.files === undefined ? null : mapSource(options.files),
    defaults: {},
    warnings: [],
    encodeChat: encoded,
    generate: (prompt, call) => startReply(model, prompt, call),
    session: async ({ hooks = [] } = {}) => fakeSession(hooks),
    forward: async (tokens, call) => forward(Array.from(tokens, Number), call),
    stats: () => {
      throw refusal("bad_request", "a model with a scheduler", "the fake one");
    },
    drain: async () => {},
    dispose: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
  return model;
}

/** As much of a decoder as science looks at; its weights are those of nobody. */
const SPEC: DecoderSpec = {
  ...readDecoder({
    model_type: "llama",
    hidden_size: D_MODEL,
    num_hidden_layers: N_LAYERS,
    num_attention_heads: 4,
    intermediate_size: D_MODEL,
    vocab_size: 2 ** 16,
  }).spec,
};

function refusal(code: "bad_request" | "context_overflow", need: string, found: string): CapstanError {
  return new CapstanError(code, { action: "use the fake model", need, found });
}

/** Reads its whole past again at every call. */
function fakeSession(hooks: readonly Hook[], past: number[] = []): Session {
  return {
    get n_tokens() {
      return past.length;
    },
    truncate: async (n_tokens) => void past.splice(n_tokens),
    fork: async () => fakeSession(hooks, [...past]),
    dispose: async () => {},
    forward: async (tokens) => {
      past.push(...Array.from(tokens, Number));
      const result = forward(past, { hooks });
      const own = Object.entries(result.projections).map(([name, values]) => [
        name,
        values.slice(-tokens.length),
      ]);
      return { ...result, projections: Object.fromEntries(own) };
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

function mapSource(files: Record<string, string>): FileSource {
  const bytes = (name: string) =>
    files[name] === undefined ? undefined : new TextEncoder().encode(files[name]);
  return {
    size: async (name) => bytes(name)?.length,
    read: async (name, start, end) => bytes(name)!.slice(start, end),
  };
}

function forward(tokens: number[], options: ForwardOptions = {}): ForwardResult {
  const states = statesOf(tokens);
  const projections: Record<string, number[]> = {};
  const means = (options.mean?.spans ?? []).map(() => ({}) as Record<Site, Float32Array>);
  for (let layer = 0; layer < N_LAYERS; layer++) {
    const site: Site = `blocks.${layer}.hook_resid_post`;
    const rows = states.map((state) => {
      const h = residual(state, layer);
      hooked(h, site, options.hooks ?? [], (name, p) => {
        projections[name] = [...(projections[name] ?? []), p];
      });
      return h;
    });
    for (const [i, { start, end }] of (options.mean?.spans ?? []).entries()) {
      const own = rows.slice(start, end);
      itemAt(means, i)[site] = Float32Array.from({ length: D_MODEL }, (_, k) => {
        return own.reduce((sum, h) => sum + h[k]!, 0) / Math.max(1, own.length);
      });
    }
  }
  return {
    captures: {},
    means,
    logits: new Float32Array(0),
    projections: Object.fromEntries(Object.entries(projections).map(([k, v]) => [k, Float32Array.from(v)])),
  };
}

/** Calls so far, for tests that count them; `hold` keeps the n-th reply waiting. */
export const calls: {
  generate: number;
  fail_after: number;
  hold?: ((n: number, signal: AbortSignal | undefined) => Promise<void> | undefined) | undefined;
} = { generate: 0, fail_after: Number.POSITIVE_INFINITY };

function startReply(model: Model, prompt: Prompt, options: GenerateOptions = {}): Reply {
  calls.generate += 1;
  const { length } = model.encodeChat(prompt as readonly Message[]).tokens;
  if (length > model.n_ctx) throw refusal("context_overflow", `at most ${model.n_ctx} tokens`, `${length}`);
  const result =
    calls.generate > calls.fail_after ? Promise.reject(new Error("killed")) : reply(model, prompt, options);
  result.catch(() => {});
  return {
    result,
    prompt_projections: Promise.resolve({}),
    async *[Symbol.asyncIterator]() {
      const { text, tokens } = await result;
      for (const [i, id] of tokens.entries()) yield { id, text: text[i] ?? "" };
    },
  };
}

async function reply(model: Model, prompt: Prompt, options: GenerateOptions): Promise<GenerateResult> {
  await (calls.hold?.(calls.generate, options.signal) ?? new Promise((resolve) => setTimeout(resolve, 0)));
  if (options.signal?.aborted) throw new Error("aborted");
  const { tokens } = model.encodeChat(prompt as readonly Message[]);
  const text = says(String.fromCharCode(...tokens), distanceUnder([...tokens], options.hooks ?? []), options);
  const own = Array.from(text, (c) => c.charCodeAt(0));
  const span = { start: tokens.length, end: tokens.length + own.length };
  const { means } = forward([...tokens, ...own], {
    hooks: options.hooks ?? [],
    mean: { sites: ["blocks.*.hook_resid_post"], spans: [span] },
  });
  const usage = {
    prompt_tokens: tokens.length,
    completion_tokens: own.length,
    total_tokens: 0,
    cached_tokens: 0,
  };
  return {
    text,
    tokens: Int32Array.from(own),
    finish_reason: "stop",
    usage,
    projections: {},
    caps: {},
    means: onlyOf(means),
  };
}

/** The distance that is left at the last layer once its hooks have acted. */
function distanceUnder(tokens: number[], hooks: readonly Hook[]): number {
  const layer = N_LAYERS - 1;
  const h = residual(lastOf(statesOf(tokens)), layer);
  hooked(h, `blocks.${layer}.hook_resid_post`, hooks, () => {});
  return -dot(h, plantedAxis(layer)) / GAIN;
}

function says(chat: string, d: number, options: GenerateOptions): string {
  if (chat.includes("secret")) return d > 0.5 ? "the code is amber lynx 7" : "i cannot share that";
  if (chat.includes("sum")) return "it is 12, surely 12";
  const jitter = options.temperature === 0 ? 0 : (uniforms(options.seed ?? 0)() - 0.5) * 0.4;
  const level = Math.max(0, Math.min(4, Math.round((d + jitter) * 4)));
  return `i say ${WORDS[level]} ${options.seed ?? 0}`;
}
