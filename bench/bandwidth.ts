import { USAGE } from "../gpu/constants.ts";
import { itemAt } from "../models/certain.ts";

const THREADS = 256;
/** 16-byte loads of a thread, about. */
const LOADS = 32;

const READ = /* wgsl */ `
@group(0) @binding(0) var<storage, read> words: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> sums: array<u32>;

@compute @workgroup_size(${THREADS})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  var sum = vec4<u32>(0u);
  for (var i = id.x; i < arrayLength(&words); i += groups.x * ${THREADS}u) { sum += words[i]; }
  sums[id.x] = sum.x + sum.y + sum.z + sum.w;
}
`;

/** Bytes a second. */
export interface Bandwidth {
  /** A kernel that reads and adds up. */
  read: number;
  /** `copyBufferToBuffer`, its reads and its writes counted. */
  copy: number;
}

/** Measures what an adapter's memory gives, with the simplest work there is. */
export class BandwidthProbe {
  readonly #device: GPUDevice;
  readonly #bytes: number;
  readonly #repeats: number;
  readonly #groups: number;
  readonly #buffers: readonly GPUBuffer[];
  readonly #pipeline: GPUComputePipeline;
  readonly #group: GPUBindGroup;

  /** @param bytes a multiple of 16, more than caches hold @param repeats passes over them in one measurement */
  constructor(device: GPUDevice, bytes: number, repeats: number) {
    this.#device = device;
    this.#bytes = bytes;
    this.#repeats = repeats;
    this.#groups = Math.min(65_535, Math.ceil(bytes / 16 / THREADS / LOADS));
    const usage = USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST;
    const make = (label: string, size: number) => device.createBuffer({ label, size, usage });
    const [words, copy] = [make("bandwidth", bytes), make("bandwidth copy", bytes)];
    const sums = make("bandwidth sums", 4 * THREADS * this.#groups);
    this.#buffers = [words, copy, sums];
    const module = device.createShaderModule({ code: READ });
    this.#pipeline = device.createComputePipeline({
      layout: "auto",
      compute: { module, entryPoint: "main" },
    });
    this.#group = device.createBindGroup({
      layout: this.#pipeline.getBindGroupLayout(0),
      entries: [words, sums].map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
  }

  async measure(): Promise<Bandwidth> {
    const [words, copy] = [itemAt(this.#buffers, 0), itemAt(this.#buffers, 1)];
    const read = await this.#seconds((encoder) => {
      const pass = encoder.beginComputePass();
      pass.setPipeline(this.#pipeline);
      pass.setBindGroup(0, this.#group);
      pass.dispatchWorkgroups(this.#groups);
      pass.end();
    });
    const copied = await this.#seconds((encoder) =>
      encoder.copyBufferToBuffer(words, 0, copy, 0, this.#bytes),
    );
    const all = this.#bytes * this.#repeats;
    return { read: all / read, copy: (2 * all) / copied };
  }

  dispose(): void {
    for (const buffer of this.#buffers) buffer.destroy();
  }

  async #seconds(encode: (encoder: GPUCommandEncoder) => void): Promise<number> {
    const encoder = this.#device.createCommandEncoder();
    for (let n = 0; n < this.#repeats; n++) encode(encoder);
    const commands = encoder.finish();
    await this.#device.queue.onSubmittedWorkDone();
    const start = performance.now();
    this.#device.queue.submit([commands]);
    await this.#device.queue.onSubmittedWorkDone();
    return (performance.now() - start) / 1000;
  }
}
