import { itemAt } from "../../models/certain.ts";
import type {
  Device,
  DeviceLoadOptions,
  DeviceModel,
  WeightSource,
  WeightTensor,
} from "../../models/device.ts";
import { abortedError, CapstanError } from "../../models/errors.ts";
import type { Program } from "../../models/program.ts";
import { Channel, type Notice } from "./channel.ts";
import type { DeviceInfo, LoadedInfo, PartInfo } from "./messages.ts";
import { WorkerModel } from "./model.ts";
import type { WorkerPort } from "./port.ts";

/**
 * A device that runs in a worker, behind `serveDevice` at the other end of the port: the calling thread is free while
 * it loads and steps. Weights are read by the calling thread, a range at a time as the worker asks for it, and
 * transferred: neither holds more of them beside the device than what is on its way. Disposal ends the worker.
 *
 * @throws CapstanError `device_lost` where the worker ends before it is ready
 */
export async function openWorkerDevice(port: WorkerPort): Promise<Device> {
  const channel = new Channel(port);
  return new WorkerDevice(channel, await channel.opened);
}

/** A load that has not ended. */
interface Loading {
  /** Of each weight of the program. */
  parts: readonly (readonly WeightTensor[])[];
  on_progress: DeviceLoadOptions["on_progress"];
  /** What a read, or the caller's `on_progress`, threw. */
  failure: { error: unknown } | null;
}

class WorkerDevice implements Device {
  readonly kind: Device["kind"];
  readonly description: string;
  readonly dtypes: Device["dtypes"];
  readonly #channel: Channel;
  readonly #loading = new Map<number, Loading>();
  #n_models = 0;

  constructor(channel: Channel, { kind, description, dtypes }: DeviceInfo) {
    this.kind = kind;
    this.description = `${description}, in a worker`;
    this.dtypes = dtypes;
    this.#channel = channel;
    channel.onNotice = (notice) => this.#take(notice);
  }

  async load(program: Program, weights: WeightSource, options: DeviceLoadOptions): Promise<DeviceModel> {
    this.#channel.check("load weights");
    const { signal, on_progress, dtype, n_ctx, ropes } = options;
    if (signal?.aborted) throw abortedError("load weights", signal);
    const parts = program.weights.map((slot) => weights.parts(slot));
    const model = this.#n_models++;
    const loading: Loading = { parts, on_progress, failure: null };
    this.#loading.set(model, loading);
    const abort = () => this.#channel.post({ kind: "abort", model });
    signal?.addEventListener("abort", abort, { once: true });
    try {
      const of = {
        ...{ method: "load" as const, model, program, options: { dtype, n_ctx, ropes } },
        parts: parts.map((tensors) => tensors.map(infoOf)),
      };
      const info = (await this.#channel.call("load weights", of)) as LoadedInfo;
      return new WorkerModel(this.#channel, model, program, info);
    } catch (error) {
      if (loading.failure !== null) throw loading.failure.error;
      const is_aborted = error instanceof CapstanError && error.code === "aborted";
      // The abort's reason is here, not in the worker.
      throw is_aborted && signal?.aborted ? abortedError("load weights", signal) : error;
    } finally {
      signal?.removeEventListener("abort", abort);
      this.#loading.delete(model);
    }
  }

  dispose(): Promise<void> {
    return this.#channel.close();
  }

  #take(notice: Notice): void {
    const loading = this.#loading.get(notice.model);
    if (loading === undefined) return;
    if (notice.kind === "read") {
      void this.#read(loading, notice);
      return;
    }
    try {
      loading.on_progress?.(notice.done, notice.total);
    } catch (error) {
      loading.failure ??= { error };
      this.#channel.post({ kind: "abort", model: notice.model });
    }
  }

  async #read(loading: Loading, notice: Extract<Notice, { kind: "read" }>): Promise<void> {
    const { read, weight, part, start, end, spare } = notice;
    try {
      const length = end - start;
      const memory = new Uint8Array(
        spare !== null && spare.byteLength >= length ? spare : new ArrayBuffer(length),
        0,
        length,
      );
      const bytes = await itemAt(itemAt(loading.parts, weight), part).read(start, end, memory);
      // What a source gives of its own may be a view of what it keeps.
      const copy = bytes.length <= length ? memory.subarray(0, bytes.length) : new Uint8Array(bytes.length);
      if (bytes.buffer !== memory.buffer) copy.set(bytes);
      this.#channel.post({ kind: "bytes", read, bytes: copy }, [copy.buffer]);
    } catch (error) {
      loading.failure ??= { error };
      this.#channel.post({ kind: "bytes", read, bytes: null });
    }
  }
}

function infoOf({ name, dtype, shape, byte_length }: WeightTensor): PartInfo {
  return { name, dtype, shape, byte_length };
}
