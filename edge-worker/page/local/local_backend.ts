import { present } from "../../../models/certain.ts";
import { CapstanError, type Hook } from "../../../models/index.ts";
import { resolveSource } from "../../../sdk/checkpoint/source/index.ts";
import { cap, generate, load, readAxis } from "../../../sdk/index.ts";
import type { Axis, Caps } from "../../../sdk/science/index.ts";
import { checkFits } from "../../../sdk/science/index.ts";
import type { FileSource, LoadOptions, Model } from "../../../sdk/types.ts";
import { axisCard } from "../../policy/axis_card.ts";
import { readHooks, telemetryOf, tokenReadings } from "../../policy/readings.ts";
import { readConversation } from "../../routes/conversation.ts";
import { splitReply } from "../../routes/replies.ts";
import {
  BackendError,
  type CapCard,
  type ChatBackend,
  type Condition,
  type ModelCard,
  type OwnCap,
  type ReplyEvent,
  type ReplyRequest,
} from "../backend/backend.ts";
import { readingOf } from "../backend/server.ts";
import { KeptModels, pickedFolder, withFiles } from "./files.ts";

/** Which model to run in the page. */
export type LocalSource =
  | { kind: "embedded" }
  /** A hub model by its id; kept as it comes. */
  | { kind: "hub"; id: string }
  | { kind: "kept"; name: string }
  | { kind: "folder"; files: readonly File[]; keep: boolean };

export interface LocalOptions {
  device: NonNullable<LoadOptions["device"]>;
  /** An `axis.safetensors` file, instead of the one in the model's folder. */
  axis: File | null;
  on_progress: (text: string, done: number, total: number) => void;
  signal: AbortSignal;
}

const AXIS = "axis.safetensors";

/** A model in the page: no request leaves it but for the model's files. */
export class LocalBackend implements ChatBackend {
  readonly #model: Model;
  readonly #name: string;
  readonly #axis: Axis | null;
  readonly #caps: ReadonlyMap<string, Caps>;

  private constructor(model: Model, name: string, axis: Axis | null) {
    this.#model = model;
    this.#name = name;
    this.#axis = axis;
    this.#caps = axis === null ? new Map() : ownCaps(axis);
  }

  /** @throws CapstanError as `load` */
  static async open(source: LocalSource, options: LocalOptions): Promise<LocalBackend> {
    const found = await filesOf(source);
    const files =
      options.axis === null
        ? found.files
        : withFiles(found.files, { [AXIS]: new Uint8Array(await options.axis.arrayBuffer()) });
    const model = await load(files, {
      device: options.device,
      signal: options.signal,
      on_progress: ({ done, total }) => options.on_progress(`Loading ${found.name}`, done, total),
    });
    try {
      const axis = (await files.size(AXIS)) === undefined ? null : await readAxis({ files, name: AXIS });
      if (axis !== null) checkFits(model, axis, "axis");
      return new LocalBackend(model, found.name, axis);
    } catch (error) {
      await model.dispose();
      throw error;
    }
  }

  async models(): Promise<ModelCard[]> {
    const { device, n_ctx } = this.#model;
    const axis = this.#axis;
    const card: ModelCard = {
      name: this.#name,
      device: `${device.kind}, ${device.dtype}`,
      n_ctx,
      caps: [...this.#caps].map(([name, caps]) => capCard(name, caps)),
      default_cap: null,
      pinned: false,
      axis: axis && axisCard(axis),
      own: axis && { floor: (own, layer) => ownFloor(axis, own, layer) },
    };
    return [card];
  }

  async *reply(request: ReplyRequest, signal: AbortSignal): AsyncGenerator<ReplyEvent, void, undefined> {
    const { messages, condition, layer, sampling } = request;
    const caps = this.#capsOf(condition);
    const is_capped = caps.some(({ data }) => layer !== null && data.layers.includes(layer));
    try {
      const read = readHooks({ axis: this.#axis }, caps, this.#steering(condition), layer);
      const conversation = readConversation(this.#model, { messages });
      const { seed, ...rest } = sampling;
      const reply = generate(this.#model, conversation.messages, {
        ...conversation.options,
        ...rest,
        ...(seed === null ? {} : { seed }),
        hooks: read.hooks,
        signal,
      });
      for await (const { token, parts } of splitReply(reply, conversation, () => {})) {
        const reading = readingOf((token && tokenReadings(token)) ?? {}, is_capped);
        const texts = parts.filter((part) => part.kind !== "tool_call");
        if (token !== null && texts.length === 0)
          yield { kind: "token", text: "", is_reasoning: false, reading };
        for (const [i, { kind, text }] of texts.entries()) {
          yield { kind: "token", text, is_reasoning: kind === "reasoning", reading: i === 0 ? reading : {} };
        }
      }
      const result = await reply.result;
      const { touched, tokens, mean_shift } = telemetryOf(read, result) ?? {};
      const has_effect = touched !== undefined && tokens !== undefined;
      const effect = has_effect ? { touched, tokens, mean_shift: mean_shift ?? 0 } : null;
      yield { kind: "end", finish_reason: result.finish_reason, effect };
    } catch (error) {
      if (signal.aborted) return;
      throw new BackendError(error instanceof CapstanError ? error.message : String(error));
    }
  }

  async dispose(): Promise<void> {
    await this.#model.dispose();
  }

  #capsOf({ cap: chosen }: Condition): Caps[] {
    if (chosen === null || this.#axis === null) return [];
    if (typeof chosen !== "string") return [makeCap(this.#axis, chosen)];
    const caps = this.#caps.get(chosen);
    return caps === undefined ? [] : [caps];
  }

  #steering({ steering }: Condition): Hook[] {
    const axis = this.#axis;
    if (steering === 0 || axis === null) return [];
    const { target_layer } = axis;
    const site = `blocks.${target_layer}.hook_resid_post` as const;
    return [{ kind: "add", site, vector: axis.layer(target_layer), coefficient: steering / 100 }];
  }
}

/** Finds a model's files. */
async function filesOf(source: LocalSource): Promise<{ name: string; files: FileSource }> {
  if (source.kind === "embedded") {
    // Beside the page, wherever on its server that is.
    const { id, files } = await resolveSource("./models/capstan-tiny");
    return { name: id, files };
  }
  const kept = await KeptModels.open();
  if (source.kind === "kept")
    return { name: source.name, files: await present(kept, "the kept models").source(source.name, null) };
  const { name, files } =
    source.kind === "hub"
      ? { name: source.id, files: (await resolveSource(source.id)).files }
      : pickedFolder(source.files);
  if (kept === null || (source.kind === "folder" && !source.keep)) return { name, files };
  // Asks that the browser does not clear it by itself when space is short.
  await navigator.storage.persist?.().catch(() => false);
  return { name, files: await kept.source(name, files) };
}

/** The cap that the axis's recipe has, else that of the paper; none where neither fits the layers that were collected. */
function ownCaps(axis: Axis): Map<string, Caps> {
  try {
    const caps = cap(axis);
    return new Map([[`p${caps.percentile}`, caps]]);
  } catch {
    return new Map();
  }
}

function makeCap(axis: Axis, { start, end, percentile }: OwnCap): Caps {
  return cap(axis, { layers: { start, end }, percentile });
}

function ownFloor(axis: Axis, { start, end, percentile }: OwnCap, layer: number): number | null {
  return layer >= start && layer < end && axis.layers.includes(layer)
    ? axis.percentile(layer, percentile)
    : null;
}

function capCard(name: string, caps: Caps): CapCard {
  const floors = [...caps.data.floors].map((floor) => (Number.isFinite(floor) ? floor : null));
  return { name, layers: caps.layers, percentile: caps.percentile, floors };
}
