import { type Decoder, type DeviceModel, planHooks, ropeLengths } from "../../models/index.ts";
import * as rules from "../common/options.ts";
import { type Rules, readOptions } from "../common/options.ts";
import type {
  EncodedChat,
  FileSource,
  ForwardOptions,
  ForwardResult,
  GenerateOptions,
  IntegerArray,
  Message,
  Model,
  ModelStats,
  Prompt,
  Reply,
  Session,
  SessionOptions,
  TemplateArgs,
  Tokenizer,
} from "../types.ts";
import { readForward, runForward } from "./forward.ts";
import { startReply } from "./generate_task.ts";
import type { Runtime, StreamDecoder } from "./runtime.ts";
import { freeOn } from "./scheduler/free_on.ts";
import type { SchedulerLimits } from "./scheduler/limits.ts";
import { Scheduler } from "./scheduler/scheduler.ts";
import type { Sequence } from "./scheduler/sequence.ts";
import { ModelSession } from "./session.ts";

/** What a loaded model is put together from. */
export interface ModelParts {
  id: string;
  source: string | null;
  asked_dtype: Model["asked_dtype"];
  digest: string;
  decoder: Decoder;
  device: Model["device"];
  device_model: DeviceModel;
  tokenizer: Tokenizer;
  streamDecoder: () => StreamDecoder | null;
  files: FileSource | null;
  defaults: Model["defaults"];
  warnings: readonly string[];
  limits: SchedulerLimits;
  /** Frees the device behind the model. */
  dispose: () => Promise<void>;
}

const SESSION: Rules<SessionOptions> = { hooks: rules.hooks, ...rules.CACHE };

const DRAIN: Rules<{ signal?: AbortSignal | undefined }> = { signal: rules.signal };

/** A loaded model: its weights on a device, one scheduler over them. */
export class LoadedModel implements Model {
  readonly id: string;
  readonly source: string | null;
  readonly asked_dtype: Model["asked_dtype"];
  readonly digest: string;
  readonly spec: Model["spec"];
  readonly tokenizer: Tokenizer;
  readonly device: Model["device"];
  readonly n_ctx: number;
  readonly memory: Model["memory"];
  readonly files: FileSource | null;
  readonly defaults: Model["defaults"];
  readonly warnings: readonly string[];
  /** For this package and its tests. */
  readonly runtime: Runtime;
  readonly #parts: ModelParts;
  #disposed: Promise<void> | null = null;

  constructor(parts: ModelParts) {
    this.#parts = parts;
    this.id = parts.id;
    this.source = parts.source;
    this.asked_dtype = parts.asked_dtype;
    this.digest = parts.digest;
    this.spec = parts.decoder.spec;
    this.tokenizer = parts.tokenizer;
    this.device = parts.device;
    this.n_ctx = parts.limits.n_ctx;
    this.memory = { weight_bytes: parts.device_model.memory.weight_bytes };
    this.files = parts.files;
    this.defaults = parts.defaults;
    this.warnings = parts.warnings;
    const { device_model } = parts;
    this.runtime = {
      scheduler: new Scheduler(device_model, parts.limits, ropeLengths(this.spec.ropes)),
      addAccumulator: (sites) => device_model.addAccumulator(sites),
      readAccumulator: (id) => device_model.readAccumulator(id),
      freeAccumulator: (id) => freeOn(() => device_model.freeAccumulator(id)),
      streamDecoder: parts.streamDecoder,
    };
  }

  encodeChat(messages: readonly Message[], args?: TemplateArgs): EncodedChat {
    return this.tokenizer.encodeChat(messages, args);
  }

  generate(prompt: Prompt, options?: GenerateOptions): Reply {
    return startReply(this, this.runtime, prompt, options);
  }

  async forward(tokens: IntegerArray, options?: ForwardOptions): Promise<ForwardResult> {
    const { hooks, cache_salt, ...rest } = options ?? {};
    const request = readForward(this, tokens, rest);
    const sequence = this.#open(readOptions("forward", { hooks, cache_salt } as SessionOptions, SESSION));
    try {
      return await runForward(this, this.runtime, sequence, request);
    } finally {
      this.runtime.scheduler.closeSequence(sequence);
    }
  }

  async session(options?: SessionOptions): Promise<Session> {
    const sequence = this.#open(readOptions("open a session", options, SESSION));
    return new ModelSession(this, this.runtime, sequence);
  }

  #open({ hooks, cache_salt }: SessionOptions): Sequence {
    return this.runtime.scheduler.openSequence(planHooks(this.spec, hooks ?? []), cache_salt);
  }

  stats(): ModelStats {
    return this.runtime.scheduler.stats;
  }

  async drain(options?: { signal?: AbortSignal }): Promise<void> {
    await this.runtime.scheduler.drain(readOptions("drain a model", options, DRAIN).signal);
  }

  dispose(): Promise<void> {
    this.#disposed ??= this.runtime.scheduler.dispose().then(() => {
      this.tokenizer.dispose();
      return this.#parts.dispose();
    });
    return this.#disposed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
