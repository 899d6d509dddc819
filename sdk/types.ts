import type { DecoderSpec, Device, Hook, Site, StoredDtype } from "../models/index.ts";

/** What people and the SDK's own verbs hold in their hands. A long file: the public shapes are in one place. */

export type Role = "system" | "user" | "assistant" | "tool";

/** A part of a message's content. */
export interface ContentPart {
  type: "text";
  text: string;
}

/** A chat message; further fields (`tool_calls`, `name`, ...) reach the chat template as they are. */
export interface Message {
  role: Role | (string & {});
  /** Text, or parts of it: a chat template that reads parts is given them, any other their texts joined. */
  content: string | ContentPart[];
  [field: string]: unknown;
}

/** Where the text of a message lies in the encoded chat: tokens [start, end). */
export interface Span {
  role: string;
  /** Index of the message. */
  turn: number;
  start: number;
  end: number;
}

/** An encoded chat: exactly the template's rendering, and where each message's content lies. */
export interface EncodedChat {
  tokens: Int32Array;
  spans: Span[];
}

/** Arguments of a chat template beside its messages; unknown ones (`enable_thinking`, ...) are passed on. */
export interface TemplateArgs {
  tools?: unknown[];
  /**
   * Ends with the opening of the assistant's turn. Default: true unless the last message is the assistant's or is
   * continued.
   */
  add_generation_prompt?: boolean;
  /**
   * Ends where the last message ends, so that a model goes on with it: true for its `content`, or the name of another
   * field (`reasoning_content`). Not together with `add_generation_prompt`. Default: false.
   */
  continue_final_message?: boolean | string;
  [name: string]: unknown;
}

/** How a text becomes token ids. */
export interface EncodeOptions {
  /**
   * What the text of an added token is: `text` (characters like any other) or `parse` (the token). Default: `text`.
   */
  special?: "text" | "parse" | null;
  /** Put around it what the tokenizer puts around a sequence (`<s>`). Default: false. */
  add_special_tokens?: boolean;
}

/** How token ids become text. */
export interface DecodeOptions {
  /** Leave special tokens out of the text. Default: false. */
  skip_special_tokens?: boolean;
}

/** Text to token ids and back, and chats by the model's template, as Hugging Face's own gives them. */
export interface Tokenizer {
  /**
   * Ids of a text, nothing put in front. `special: "text"` (default) reads every added token's text, special or
   * not, as plain characters; `"parse"` makes them tokens. `add_special_tokens` puts around it what the tokenizer
   * puts around a sequence, as Python's `tokenizer(text)` does: `<s>` for many models, nothing for others.
   * Half a surrogate pair, which no text of Python holds, is read as U+FFFD.
   *
   * @throws CapstanError `bad_request` for what is no text or another `special`; `tokenizer` where the vocabulary has
   *   no token for a character, nor one for what is unknown
   */
  encode(text: string, options?: EncodeOptions): Int32Array;
  /**
   * Text of ids: a list, any typed array of integers, or another iterable. Ids that stand for nothing are left out.
   *
   * @throws CapstanError `bad_request` for other things, and naming the first id that is not from 0 to `size - 1`
   */
  decode(ids: IntegerArray | Iterable<number>, options?: DecodeOptions): string;
  /** Exactly the chat template's text. */
  renderChat(messages: readonly Message[], args?: TemplateArgs): string;
  encodeChat(messages: readonly Message[], args?: TemplateArgs): EncodedChat;
  /** Ids the tokenizer can give, [0, size). */
  readonly size: number;
  readonly has_chat_template: boolean;
  /** Source of the chat template; null where there is none. */
  readonly chat_template: string | null;
  /** The id of an added token by its text, or undefined. */
  tokenId(text: string): number | undefined;
  /** Frees its memory; a model's goes with the model. Calls after it throw `tokenizer`. */
  dispose(): void;
}

/** Files of a model by name, readable by byte range: a folder, a worker's assets, R2, KV. */
export interface FileSource {
  /** Size in bytes, or undefined when there is no such file. */
  size(name: string): Promise<number | undefined>;
  /** Bytes [start, end); where a source makes use of `into`, which is at least as long, in a view of that memory. */
  read(name: string, start: number, end: number, into?: Uint8Array): Promise<Uint8Array>;
}

/** How a model is loaded. */
export interface LoadOptions {
  /** What runs it; `auto` takes WebGPU where the machine has a GPU. Default: `auto`. */
  device?: "auto" | "wasm" | "webgpu";
  /**
   * How the device keeps matrices; `auto` keeps them as the file does, but in `q8` on WASM where they are more than 1 GiB,
   * as `Model.device` then says. `q8` and `q4` are 8 and 4 bits with a scale for each 32 neighbours (`q4`: and an
   * offset; what has a row for each token stays `q8`). Default: `auto`.
   */
  dtype?: "auto" | "f32" | "f16" | "bf16" | "q8" | "q4";
  /**
   * Longest sequence in tokens, from 1. Default: the model's own (`max_position_embeddings`), at most what memory
   * allows. More runs as far as the rope is scaled, and beyond that with a warning (`Model.warnings`); positions
   * that were learned end.
   */
  n_ctx?: number;
  /** Threads of the WASM engine, from 1; more than 1 is refused so far. Default: 1. */
  threads?: number;
  /**
   * Whether the WASM engine runs in a worker; where none starts, on the calling thread in small steps, which
   * `Model.warnings` says. Default: true in Node, Deno, Bun and a page; false in workerd and in a Worker of a page.
   */
  worker?: boolean;
  /** Most requests that wait for a place, from 0, before those with `queue: "refuse"` are refused. Default: 64. */
  max_queue?: number;
  /** Ends the call with `aborted`. Default: none. */
  signal?: AbortSignal;
  /** Called as bytes come, with how many there are and will be. Default: none. */
  on_progress?: (progress: LoadProgress) => void;
}

/** How far a load is. */
export interface LoadProgress {
  /** Bytes so far and in all. */
  done: number;
  total: number;
  /** `pull`: fetching a hub model's files. `load`: reading weights. */
  stage: "pull" | "load";
}

/** How a hub model is fetched. */
export interface PullOptions {
  /** Patterns of the files to fetch (`*.safetensors`, `*` crosses `/`). Default: what `load` reads. */
  include?: readonly string[];
  /** Ends the call with `aborted`. Default: none. */
  signal?: AbortSignal;
  /** Bytes of the chosen files that are here, and in all; the file that grew last. Default: none. */
  on_progress?: (progress: { done: number; total: number; file: string }) => void;
}

/** What was fetched, and where it lies. */
export interface PullResult {
  id: string;
  /** The name the model goes by today, where that is another one. */
  renamed_to?: string;
  revision: string;
  commit: string;
  /** The snapshot: what `load` takes. */
  folder: string;
  files: string[];
  /** Of these files, and of them what came over the network in this call. */
  bytes: number;
  fetched_bytes: number;
}

/** Token ids as people hold them: a list, or a typed array of integers. Copied at the call. */
export type IntegerArray =
  | readonly number[]
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** A prompt in any of its forms: text (as it is, behind what the tokenizer begins a sequence with), token ids, or a chat. */
export type Prompt = string | IntegerArray | readonly Message[];

/** What a forward call does beside computing, and what it gives back. */
export interface ForwardOptions extends QueueOptions, CacheOptions {
  /** Interventions and readings, in order. Default: none. */
  hooks?: readonly Hook[];
  /** Site patterns to read back: `blocks.*.hook_resid_post`. Default: none. */
  capture?: readonly string[];
  /** Means over spans of the tokens of this call, kept on the device. Default: none. */
  mean?: { sites: readonly string[]; spans: readonly { start: number; end: number }[] };
  /** Logits to give back: of no token, of the last, or of all. Default: `last`. */
  logits?: "none" | "last" | "all";
  /** Ends the call with `aborted`. Default: none. */
  signal?: AbortSignal;
}

/** How a session is opened: what holds for all its calls. */
export interface SessionOptions extends CacheOptions {
  /** Interventions and readings, in order. Default: none. */
  hooks?: readonly Hook[];
}

/** What a call of a session may ask for: not what the session was opened with. */
export type SessionForwardOptions = Omit<ForwardOptions, keyof SessionOptions>;

/** What a forward call gives back. */
export interface ForwardResult {
  /** Each [n_tokens * d_model], row-major, by site. */
  captures: Record<Site, Float32Array>;
  /** For each span, by site, [d_model]. */
  means: Record<Site, Float32Array>[];
  /** `all`: [n_tokens * d_vocab]; `last`: [d_vocab]; `none`: empty. */
  logits: Float32Array;
  /** By the name of each `project` hook, [n_tokens]. */
  projections: Record<string, Float32Array>;
}

/** A KV cache of its own: forward again and again. */
export interface Session extends AsyncDisposable {
  readonly n_tokens: number;
  forward(tokens: IntegerArray, options?: SessionForwardOptions): Promise<ForwardResult>;
  /**
   * Forgets all but the first `n_tokens`, after the calls made before; at once when there are none.
   *
   * @throws CapstanError `bad_request` at the call, for more tokens than there will be; by the promise when a call
   *   before it failed, so that there are fewer
   */
  truncate(n_tokens: number): Promise<void>;
  /** A second session with the same past, sharing its blocks. */
  fork(): Promise<Session>;
  dispose(): Promise<void>;
}

/** A loaded model: text, replies, forward calls and sessions. */
export interface Model extends AsyncDisposable {
  /** What it was loaded from, as a short name. */
  readonly id: string;
  /** What `load` was given, as `--model` takes it; null for a file source, and for an address with a query (a secret). */
  readonly source: string | null;
  /** The `dtype` that `load` was given, `auto` where none; `device.dtype` is what came of it. */
  readonly asked_dtype: NonNullable<LoadOptions["dtype"]>;
  /** `sha256:...` over config.json, the weight files' headers and samples of their data. */
  readonly digest: string;
  readonly spec: DecoderSpec;
  /** Throws `tokenizer` on first use when the folder has none. */
  readonly tokenizer: Tokenizer;
  /** What runs it and why. `dtype` is how the device keeps the matrices, `mixed` where they differ (`description` says it). */
  readonly device: { kind: Device["kind"]; description: string; dtype: StoredDtype | "mixed" };
  readonly n_ctx: number;
  readonly memory: { weight_bytes: number };
  /** Files beside the weights, such as the experiment's recipe in capstan.json; null when there are none. */
  readonly files: FileSource | null;
  /** Sampling defaults of generation_config.json. */
  readonly defaults: Partial<
    Pick<GenerateOptions, "temperature" | "top_k" | "top_p" | "min_p" | "repetition_penalty">
  >;
  /** What was odd in its files or in how it was loaded, a sentence each: what stands where, and what was done. */
  readonly warnings: readonly string[];
  encodeChat(messages: readonly Message[], args?: TemplateArgs): EncodedChat;
  /** The same as `generate(model, prompt, options)`. */
  generate(prompt: Prompt, options?: GenerateOptions): Reply;
  forward(tokens: IntegerArray, options?: ForwardOptions): Promise<ForwardResult>;
  session(options?: SessionOptions): Promise<Session>;
  /** What it is at, now. */
  stats(): ModelStats;
  /**
   * Lets what runs come to its end. New requests, and those that have not begun, end with `busy` from now on, for good.
   * `signal` ends what still runs (`aborted`): `model.drain({ signal: AbortSignal.timeout(10_000) })`.
   */
  drain(options?: { signal?: AbortSignal }): Promise<void>;
  dispose(): Promise<void>;
}

/** What a model is at. */
export interface ModelStats {
  /** Sequences that are computed, and such that wait for a place. */
  n_running: number;
  n_waiting: number;
  /** As `LoadOptions.max_queue`. */
  max_queue: number;
  /** Blocks of the KV cache: in use, of these the ones that hold cached prefixes, and as many as there can be. */
  kv_blocks: { used: number; cached: number; total: number };
  is_draining: boolean;
}

/** Who a request is for, and what becomes of it when others are in the way. */
export interface QueueOptions {
  /**
   * `wait` (default): as long as it takes. `refuse`: `CapstanError` `busy`, with `retry_after` in seconds, where as many
   * wait as `LoadOptions.max_queue` says.
   */
  queue?: "wait" | "refuse";
  /** Whom it is for, any text. Where some wait, each client gets the same number of tokens. Default: "", one for all. */
  client?: string;
}

/** With whom a sequence shares the prefix cache. */
export interface CacheOptions {
  /**
   * Any text. Cached blocks are used by sequences of the same salt alone, so that the time to a first token tells nothing of
   * what others have asked. Default: "", shared by all that name none.
   */
  cache_salt?: string;
}

/** How a reply is generated: hooks, sampling, and where it ends. */
export interface GenerateOptions extends QueueOptions, CacheOptions {
  /** Interventions and readings, in order, in prefill and decode alike. Default: none. */
  hooks?: readonly Hook[];
  /** Most tokens of the reply, from 1. Default: up to the context's end, at most 512. */
  max_tokens?: number;
  /** From 0 (greedy) to 100. Default: the model's generation_config.json, else 1. */
  temperature?: number;
  /** Draw from so many of the likeliest tokens, from 0 (all). Default: the model's, else 0. */
  top_k?: number;
  /**
   * Draw from the likeliest tokens that make up this probability, from 0 to 1 (all). Default: the model's, else 1.
   */
  top_p?: number;
  /**
   * Draw from tokens of at least this share of the likeliest one's probability, from 0 (all) to 1. Default: the
   * model's, else 0.
   */
  min_p?: number;
  /**
   * Divides (or multiplies, below 0) the logits of tokens that were there, from 0.001 to 1000; 1 is none. Default:
   * the model's, else 1.
   */
  repetition_penalty?: number;
  /** Taken from a logit for each time the reply has the token, from -100 to 100. Default: 0. */
  frequency_penalty?: number;
  /** Taken from a logit once the reply has the token, from -100 to 100. Default: 0. */
  presence_penalty?: number;
  /** Added to logits, by token id. Default: none. */
  logit_bias?: Record<number, number>;
  /** A whole number from 0. Same seed, same device: same tokens. Default: random. */
  seed?: number;
  /**
   * Texts that end the reply; not part of it. The text of an added token (`<|im_end|>`) stands for the token, too, which
   * a reply's text does not show. Default: none.
   */
  stop?: string | readonly string[];
  /** Ids that end the reply, beside the model's own; not part of it. Default: none. */
  stop_token_ids?: IntegerArray;
  /**
   * Report log-probabilities: true for the drawn token's, a number from 0 to 100 for as many of the likeliest too.
   * Default: false.
   */
  logprobs?: boolean | number;
  /** Site patterns whose mean over the reply's own tokens is kept (the token that ends it left out). Default: none. */
  mean?: readonly string[];
  /**
   * How a string is read: `text` (default) takes added tokens in it (`<|im_start|>`) as characters, `parse` as tokens: for
   * a chat that the caller has rendered.
   */
  special?: "text" | "parse";
  /** A chat's last message is gone on with, not answered. Default: false, and a chat that ends with the assistant's is refused. */
  continue_final_message?: boolean;
  /** Further arguments of the chat template. Default: none. */
  template_args?: TemplateArgs;
  /**
   * How long the prompt's keys and values are kept for prompts that begin alike: `long` (default) as long as memory
   * allows, `brief` for the next few, which keeps memory flat over many prompts that come once.
   */
  prefix_cache?: "long" | "brief";
  /**
   * Whether the projections of the prompt's own tokens are kept, too: `Reply.prompt_projections`. What the prefix cache has of a
   * prompt is used where it has these with it. Default: false.
   */
  prompt_projections?: boolean;
  /** Ends the call with `aborted`. Default: none. */
  signal?: AbortSignal;
}

/** A token of a reply as it streams. `text` may be empty while a character is incomplete. */
export interface GeneratedToken {
  id: number;
  text: string;
  /** Natural log. */
  logprob?: number;
  top_logprobs?: { id: number; logprob: number }[];
  /** By the name of each `project` hook: p at the position the token was drawn from. */
  projections?: Record<string, number>;
}

/** A reply, whole. */
export interface GenerateResult {
  text: string;
  /** The reply's ids, without the one that ended it. */
  tokens: Int32Array;
  /**
   * `stop`: an end-of-text token or a stop string; `length`: max_tokens or the context's end; `abort`: a reader left
   * before the end, and the result is what there was until then.
   */
  finish_reason: "stop" | "length" | "abort";
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number; cached_tokens: number };
  /** By the name of each `project` hook and named cap, one value a token of the reply. */
  projections: Record<string, Float32Array>;
  /** By the name of each named cap: what it did. */
  caps: Record<string, CapEffect>;
  /** What `mean` asked for: by site, [d_model]; zeros when none of the reply's tokens was fed. */
  means: Record<Site, Float32Array>;
}

/** What a named cap did to the positions that a reply's tokens were drawn from. */
export interface CapEffect {
  /** Positions in all, and those that it moved. */
  tokens: number;
  touched: number;
  /** How far the projection was moved, in its own units: mean over all of them, and the most. */
  mean_shift: number;
  max_shift: number;
}

/**
 * A running reply: iterate its tokens, or await `result`; both may be done. A reader that leaves early (`break`) ends
 * it, and `result` gives the text so far; aborting by `signal` rejects with `aborted`.
 */
export interface Reply extends AsyncIterable<GeneratedToken> {
  readonly result: Promise<GenerateResult>;
  /**
   * Once the prompt has been read, before the first token: by the name of each `project` hook and named cap, one value a token of
   * the prompt. Empty without the option `prompt_projections`; rejects where the reply fails before.
   */
  readonly prompt_projections: Promise<Record<string, Float32Array>>;
}
