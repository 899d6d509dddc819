import { entryOf, itemAt } from "../../models/certain.ts";
import type { Device, DeviceModel, StepEntry, StepResult, WeightSource } from "../../models/device.ts";
import { sendError } from "./errors.ts";
import {
  buffersOf,
  type Call,
  type DeviceInfo,
  type LoadedInfo,
  OPEN_CALL,
  type Order,
  type Request,
  type Response,
} from "./messages.ts";
import type { Port } from "./port.ts";

/**
 * Runs a device for the other end of a port, where a `WorkerDevice` stands for it. Calls of a model run one after the
 * other in the order they were made, whatever the device has of steps in flight.
 */
export function serveDevice(port: Port, device: Device): void {
  new Server(port, device);
}

type Load = Extract<Call, { method: "load" }>;

class Server {
  readonly #port: Port;
  readonly #device: Device;
  readonly #models = new Map<number, ServedModel>();
  readonly #aborts = new Map<number, AbortController>();
  /** Reads that the caller has not answered, by their numbers. */
  readonly #reads = new Map<number, (bytes: Uint8Array | null) => void>();
  #n_reads = 0;

  constructor(port: Port, device: Device) {
    this.#port = port;
    this.#device = device;
    port.onMessage((message) => this.#receive(message as Request));
    const { kind, description, dtypes } = device;
    const value: DeviceInfo = { kind, description, dtypes };
    this.#post({ kind: "answer", call: OPEN_CALL, value });
  }

  #receive(request: Request): void {
    switch (request.kind) {
      case "call":
        void this.#answer(request.call, request.of);
        break;
      case "order":
        void this.#models.get(request.of.model)?.order(request.of);
        break;
      case "bytes": {
        const settle = this.#reads.get(request.read);
        this.#reads.delete(request.read);
        settle?.(request.bytes);
        break;
      }
      case "abort":
        this.#aborts.get(request.model)?.abort();
        break;
    }
  }

  async #answer(call: number, of: Call): Promise<void> {
    try {
      const { value, transfer = [] } = of.method === "load" ? await this.#load(of) : await this.#call(of);
      this.#post({ kind: "answer", call, value }, transfer);
    } catch (error) {
      this.#post({ kind: "failed", call, error: sendError(error) });
    }
  }

  #call(of: Exclude<Call, Load>): Promise<Answer> {
    const model = entryOf(this.#models, of.model);
    if (of.method === "dispose") this.#models.delete(of.model);
    return model.call(of);
  }

  async #load(of: Load): Promise<Answer> {
    const { model, program, options } = of;
    const abort = new AbortController();
    this.#aborts.set(model, abort);
    try {
      const loaded = await this.#device.load(program, this.#source(of), {
        ...options,
        signal: abort.signal,
        on_progress: (done, total) => this.#post({ kind: "progress", model, done, total }),
      });
      this.#models.set(model, new ServedModel(loaded));
      const { block_size, stored, n_in_flight, memory } = loaded;
      return { value: { block_size, stored, n_in_flight, memory } satisfies LoadedInfo };
    } finally {
      this.#aborts.delete(model);
    }
  }

  /**
   * The caller's weights, read by asking it for ranges. The memory that they come in goes to and fro: collected garbage
   * would be late, and come to some tenths of the weights.
   */
  #source({ model, program, parts }: Load): WeightSource {
    let spare: ArrayBufferLike | null = null;
    const release = ({ buffer }: Uint8Array) => {
      spare = buffer;
    };
    const read = async (of: { weight: number; part: number; start: number; end: number }) => {
      const number = this.#n_reads++;
      const bytes = await new Promise<Uint8Array | null>((resolve) => {
        this.#reads.set(number, resolve);
        const transfer = spare === null ? [] : [spare];
        this.#post({ kind: "read", read: number, model, ...of, spare }, transfer);
        spare = null;
      });
      if (bytes !== null) return bytes;
      // What went wrong the caller knows, and throws.
      throw new Error("the weights could not be read");
    };
    return {
      parts(slot) {
        const weight = program.weights.indexOf(slot);
        return itemAt(parts, weight).map((info, part) => {
          return { ...info, read: (start, end) => read({ weight, part, start, end }), release };
        });
      },
    };
  }

  #post(response: Response, transfer: readonly ArrayBufferLike[] = []): void {
    this.#port.post(response, transfer);
  }
}

interface Answer {
  value: unknown;
  transfer?: readonly ArrayBufferLike[];
}

/** A model with the ids that its caller gave: what it is asked runs in turn. */
class ServedModel {
  readonly #model: DeviceModel;
  readonly #hooks = new Ids();
  readonly #accumulators = new Ids();
  #last: Promise<unknown> = Promise.resolve();

  constructor(model: DeviceModel) {
    this.#model = model;
  }

  call(of: Exclude<Call, Load>): Promise<Answer> {
    const answer = this.#last.then(() => this.#run(of));
    this.#last = answer.catch(() => {});
    return answer;
  }

  /** A device that is lost says so to every call after it. */
  order(of: Order): Promise<void> {
    const done = this.#last.then(() => this.#obey(of)).catch(() => {});
    this.#last = done;
    return done;
  }

  async #run(of: Exclude<Call, Load>): Promise<Answer> {
    switch (of.method) {
      case "allocBlocks":
        return { value: await this.#model.allocBlocks(of.count) };
      case "readAccumulator": {
        const value = await this.#model.readAccumulator(this.#accumulators.of(of.id));
        return { value, transfer: buffersOf([value.mean]) };
      }
      case "step": {
        const value = await this.#model.step(of.batch.map((entry) => this.#entry(entry)));
        return { value, transfer: buffersOf(value.flatMap(arraysOf)) };
      }
      case "dispose":
        await this.#model.dispose();
        return { value: null };
    }
  }

  #obey(of: Order): void {
    const model = this.#model;
    switch (of.method) {
      case "freeBlocks":
        model.freeBlocks(of.blocks);
        break;
      case "copyBlock":
        model.copyBlock(of.from, of.to);
        break;
      case "addHooks":
        this.#hooks.add(of.id, () => model.addHooks(of.hooks));
        break;
      case "freeHooks":
        this.#hooks.free(of.id, (id) => model.freeHooks(id));
        break;
      case "addAccumulator":
        this.#accumulators.add(of.id, () => model.addAccumulator(of.sites));
        break;
      case "freeAccumulator":
        this.#accumulators.free(of.id, (id) => model.freeAccumulator(id));
        break;
    }
  }

  /** The entry with the device's own ids. */
  #entry(entry: StepEntry): StepEntry {
    if (entry.hooks === 0 && entry.accumulate.length === 0) return entry;
    const hooks = entry.hooks === 0 ? 0 : this.#hooks.of(entry.hooks);
    const accumulate = entry.accumulate.map((span) => ({ ...span, id: this.#accumulators.of(span.id) }));
    return { ...entry, hooks, accumulate };
  }
}

/** The device's ids by those that the caller gave. What could not be added is the error of whatever names it. */
class Ids {
  readonly #found = new Map<number, { id: number } | { error: unknown }>();

  add(own: number, add: () => number): void {
    try {
      this.#found.set(own, { id: add() });
    } catch (error) {
      this.#found.set(own, { error });
    }
  }

  of(own: number): number {
    const found = entryOf(this.#found, own);
    if ("error" in found) throw found.error;
    return found.id;
  }

  free(own: number, free: (id: number) => void): void {
    const found = entryOf(this.#found, own);
    this.#found.delete(own);
    if ("id" in found) free(found.id);
  }
}

function arraysOf({ logits, captures, projections }: StepResult): Float32Array[] {
  return logits === null ? [...captures, projections] : [logits, ...captures, projections];
}
