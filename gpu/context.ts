import { CapstanError } from "../models/errors.ts";
import type { AdapterReport } from "./adapter.ts";
import { COMPUTE_STAGE, UNIFORM_STRIDE, USAGE } from "./constants.ts";
import type { RecordLayout } from "./layout/record.ts";
import { type Constants, specialise } from "./shader.ts";

/** A kernel's one source, its op's record and what it is bound to after the step, its op and the batch. */
export interface Kernel {
  name: string;
  /** WGSL, without the struct `Op`, which comes from `op`. */
  source: string;
  op: RecordLayout;
  /** Storage bindings from 3 on: read only, or read and written. */
  bindings: readonly ("read" | "write")[];
}

export interface Pipeline {
  readonly name: string;
  readonly layout: GPUBindGroupLayout;
  readonly pipeline: GPUComputePipeline;
}

/** What a device did so far: for benches, and for the tests that pin it. */
export interface Counters {
  /** Alive now. */
  buffers: number;
  buffer_bytes: number;
  /** Ever. */
  buffers_created: number;
  pipelines: number;
  bind_groups: number;
  passes: number;
  dispatches: number;
  submits: number;
  /** Calls of `writeBuffer`. */
  writes: number;
  /** Buffers mapped to be read. */
  readbacks: number;
  readback_bytes: number;
}

/** A GPU device with what every part of ours needs of it: checked creation, variants of kernels, counts, loss. */
export class Gpu {
  readonly device: GPUDevice;
  readonly adapter: AdapterReport;
  readonly counters: Counters = {
    buffers: 0,
    buffer_bytes: 0,
    buffers_created: 0,
    pipelines: 0,
    bind_groups: 0,
    passes: 0,
    dispatches: 0,
    submits: 0,
    writes: 0,
    readbacks: 0,
    readback_bytes: 0,
  };
  readonly #pipelines = new Map<string, Promise<Pipeline>>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  #failed: CapstanError | undefined;
  #open_checks: Promise<CapstanError | undefined>[] = [];
  /** Buffers made in an attempt; undefined outside of one. */
  #made: GPUBuffer[] | undefined;

  constructor(device: GPUDevice, adapter: AdapterReport) {
    this.device = device;
    this.adapter = adapter;
    device.lost.then(({ reason, message }) => {
      this.#failed ??= lostError(message || reason || "no reason given");
    });
    // Assigned so because Deno's types of a device lack the property, which the device itself has.
    Object.assign(device, {
      onuncapturederror: ({ error }: GPUUncapturedErrorEvent) => {
        this.#failed ??= new CapstanError("internal", {
          action: "run on the GPU",
          need: "calls that WebGPU takes",
          found: error.message,
        });
      },
    });
  }

  /** Why the device can no longer be used, once it cannot. */
  get failed(): CapstanError | undefined {
    return this.#failed;
  }

  /** Throws the error that ended the device, if one did. */
  alive(): void {
    if (this.#failed !== undefined) throw this.#failed;
  }

  /** A new buffer, zeroed. A failure is thrown by the next `settled`. */
  buffer(label: string, bytes: number, usage: number): GPUBuffer {
    const size = Math.max(16, Math.ceil(bytes / 16) * 16);
    this.device.pushErrorScope("out-of-memory");
    this.device.pushErrorScope("validation");
    const buffer = this.device.createBuffer({ label, size, usage });
    this.#check((found) => outOfMemory(`allocate ${label}`, size, found));
    this.#check((found) => outOfMemory(`allocate ${label}`, size, found));
    this.counters.buffers++;
    this.counters.buffers_created++;
    this.counters.buffer_bytes += size;
    this.#made?.push(buffer);
    return buffer;
  }

  /**
   * Makes buffers and waits until they are known to be there; where one is not, all of them are released.
   *
   * @throws CapstanError `out_of_memory`
   */
  async attempt<T>(make: () => T): Promise<T> {
    const others = this.#open_checks.splice(0);
    const before = this.#made;
    this.#made = [];
    const result = make();
    const made = this.#made;
    this.#made = before;
    const mine = this.#open_checks.splice(0, Number.POSITIVE_INFINITY, ...others);
    const errors = (await Promise.all(mine)).filter((error) => error !== undefined);
    if (errors[0] === undefined && this.#failed === undefined) return result;
    for (const buffer of made) this.release(buffer);
    this.alive();
    throw errors[0];
  }

  release(buffer: GPUBuffer | undefined): void {
    if (buffer === undefined) return;
    this.counters.buffers--;
    this.counters.buffer_bytes -= buffer.size;
    buffer.destroy();
  }

  /** A storage buffer of at least `bytes` that holds what `old` held; `old` is released once copied. */
  grow(label: string, old: GPUBuffer | undefined, bytes: number): GPUBuffer {
    const usage = USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST;
    const buffer = this.buffer(label, bytes, usage);
    if (old !== undefined) {
      const encoder = this.device.createCommandEncoder();
      encoder.copyBufferToBuffer(old, 0, buffer, 0, old.size);
      this.submit(encoder);
      this.release(old);
    }
    return buffer;
  }

  write(buffer: GPUBuffer, offset: number, bytes: Uint8Array): void {
    this.device.queue.writeBuffer(buffer, offset, bytes as Uint8Array<ArrayBuffer>);
    this.counters.writes++;
  }

  submit(encoder: GPUCommandEncoder): void {
    this.device.queue.submit([encoder.finish()]);
    this.counters.submits++;
  }

  bindGroup(pipeline: Pipeline, buffers: readonly GPUBufferBinding[]): GPUBindGroup {
    this.counters.bind_groups++;
    this.device.pushErrorScope("validation");
    const group = this.device.createBindGroup({
      label: pipeline.name,
      layout: pipeline.layout,
      entries: buffers.map((resource, binding) => ({ binding, resource })),
    });
    this.#check((found) => {
      const need = "buffers that fit its bindings";
      return new CapstanError("internal", { action: `bind ${pipeline.name}`, need, found });
    });
    return group;
  }

  /** The variant of a kernel for its constants: compiled once. Errors name kernel, variant and line. */
  pipeline(kernel: Kernel, constants: Constants): Promise<Pipeline> {
    const key = `${kernel.name} ${JSON.stringify(constants)}`;
    let pipeline = this.#pipelines.get(key);
    if (pipeline === undefined) {
      pipeline = this.#compile(kernel, constants, key);
      this.#pipelines.set(key, pipeline);
    }
    return pipeline;
  }

  /** Waits until everything created so far is known to be good. @throws CapstanError `out_of_memory`, `internal` */
  async settled(): Promise<void> {
    const checks = this.#open_checks.splice(0);
    const errors = (await Promise.all(checks)).filter((error) => error !== undefined);
    this.alive();
    if (errors[0] !== undefined) throw errors[0];
  }

  destroy(reason: CapstanError): void {
    this.#failed ??= reason;
    this.device.destroy();
  }

  #check(describe: (found: string) => CapstanError): void {
    this.#open_checks.push(
      this.device.popErrorScope().then(
        (error) => (error === null ? undefined : describe(error.message)),
        () => undefined,
      ),
    );
  }

  async #compile(kernel: Kernel, constants: Constants, variant: string): Promise<Pipeline> {
    const code = specialise(`${kernel.op.struct("Op")}\n${kernel.source}`, constants);
    const { device } = this;
    const layout = this.#layout(kernel.bindings);
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ label: kernel.name, code });
    const pending = device.createComputePipelineAsync({
      label: kernel.name,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: "main" },
    });
    const scope = device.popErrorScope();
    const [made, error] = await Promise.all([pending.catch(asError), scope]);
    if (made instanceof Error || error !== null) {
      this.alive();
      throw await compileError(
        variant,
        code,
        module,
        `${error?.message ?? ""} ${made instanceof Error ? made.message : ""}`,
      );
    }
    this.counters.pipelines++;
    return { name: kernel.name, layout, pipeline: made };
  }

  #layout(bindings: Kernel["bindings"]): GPUBindGroupLayout {
    const key = bindings.join();
    let layout = this.#layouts.get(key);
    if (layout !== undefined) return layout;
    const types: GPUBufferBindingLayout[] = [
      { type: "uniform" },
      { type: "uniform", hasDynamicOffset: true },
      { type: "read-only-storage" },
      ...bindings.map((kind) => ({ type: kind === "read" ? "read-only-storage" : "storage" }) as const),
    ];
    layout = this.device.createBindGroupLayout({
      entries: types.map((buffer, binding) => ({ binding, visibility: COMPUTE_STAGE, buffer })),
    });
    this.#layouts.set(key, layout);
    return layout;
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** Uniform records one after the other, each `UNIFORM_STRIDE` bytes. */
export function uniformBytes(records: readonly Uint32Array[]): Uint8Array<ArrayBuffer> {
  const packed = new Uint32Array((records.length * UNIFORM_STRIDE) / 4);
  for (const [i, record] of records.entries()) packed.set(record, (i * UNIFORM_STRIDE) / 4);
  return new Uint8Array(packed.buffer);
}

async function compileError(
  variant: string,
  code: string,
  module: GPUShaderModule,
  fallback: string,
): Promise<CapstanError> {
  const messages = await module.getCompilationInfo().then(
    ({ messages }) => messages.filter(({ type }) => type === "error"),
    () => [],
  );
  const [first] = messages;
  const line = first === undefined ? "" : (code.split("\n")[first.lineNum - 1] ?? "").trim();
  return new CapstanError("internal", {
    action: `compile ${variant}`,
    need: "WGSL that this adapter takes",
    found: first === undefined ? fallback.trim() : `${first.message} at line ${first.lineNum}: ${line}`,
  });
}

export function lostError(found: string): CapstanError {
  return new CapstanError("device_lost", {
    action: "run on the GPU",
    need: "a living device",
    found,
    fix: "Load the model again; replies go on from their tokens so far.",
  });
}

export function outOfMemory(action: string, bytes: number, found: string): CapstanError {
  return new CapstanError("out_of_memory", {
    action,
    need: `${mebibytes(bytes)} of GPU memory`,
    found,
    fix: "A smaller dtype, n_ctx or batch takes less.",
  });
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
