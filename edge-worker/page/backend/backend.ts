import type { AxisCard } from "../../policy/axis_card.ts";

/** What answers the page: a server, or a model in the page itself. The rest of the page knows this interface alone. */
export interface ChatBackend {
  /** What can be asked. @throws BackendError */
  models(): Promise<ModelCard[]>;
  /** A reply as it is written: its tokens, then how it ended. Ends early, without an error, once `signal` is aborted. */
  reply(request: ReplyRequest, signal: AbortSignal): AsyncGenerator<ReplyEvent, void, undefined>;
}

/** A model as the page shows it. */
export interface ModelCard {
  name: string;
  /** `wasm, bf16` */
  device: string;
  /** Longest conversation in tokens; null where that is not known yet. */
  n_ctx: number | null;
  caps: CapCard[];
  default_cap: string | null;
  /** No request may change the cap. */
  pinned: boolean;
  axis: AxisCard | null;
  /** Caps of any layers and percentile, and steering, where they may be asked for; null where they may not. */
  own: {
    /** The floor of such a cap at a layer; null where it does not act there. */
    floor(cap: OwnCap, layer: number): number | null;
  } | null;
}

/** A named cap. */
export interface CapCard {
  name: string;
  /** [start, end) */
  layers: { start: number; end: number };
  percentile: number | null;
  /** By layer from `layers.start` on; null for none. */
  floors: (number | null)[];
}

/** Under what a reply is written. */
export interface Condition {
  /** A named cap, one of the visitor's own, or none. */
  cap: string | OwnCap | null;
  /** Added along the axis at every position, in percent of the distance from the roles to the Assistant; 0 is none. */
  steering: number;
}

export interface OwnCap {
  start: number;
  end: number;
  percentile: number;
}

export interface ReplyRequest {
  model: string;
  messages: { role: "system" | "user" | "assistant"; content: string }[];
  condition: Condition;
  /** Where projections are read; null for the backend's choice. */
  layer: number | null;
  sampling: Sampling;
}

export interface Sampling {
  temperature: number;
  max_tokens: number;
  /** null: another one each time. */
  seed: number | null;
}

/** Projections at the layer that is read: on the way into the cap and out of it, and without a cap the one there is. */
export interface Reading {
  before?: number;
  after?: number;
}

export type ReplyEvent = { kind: "token"; text: string; is_reasoning: boolean; reading: Reading } | ReplyEnd;

export interface ReplyEnd {
  kind: "end";
  finish_reason: string;
  /** Of the cap: positions that it moved, of how many, and how far on average; null without one. */
  effect: { touched: number; tokens: number; mean_shift: number } | null;
}

/** A failure to show to the visitor. */
export class BackendError extends Error {
  override readonly name = "BackendError";
  /** Of a server: 401 asks for a key. */
  readonly status: number | null;

  constructor(message: string, status: number | null = null) {
    super(message);
    this.status = status;
  }
}
