import type { Device, DeviceLoadOptions, WeightSource } from "../models/device.ts";
import { CapstanError } from "../models/errors.ts";
import type { Program } from "../models/program.ts";
import { type AdapterReport, findAdapter, type OpenOptions, openDevice } from "./adapter.ts";
import { type Counters, Gpu } from "./context.ts";
import { GpuModel, type WebGpuModel } from "./model.ts";
import { STORED_DTYPES } from "./weights/load.ts";

/** The WebGPU device, with what only it has. */
export interface WebGpuDevice extends Device {
  readonly kind: "webgpu";
  readonly adapter: AdapterReport;
  /** What it did so far, and the buffers alive now. */
  readonly counters: Readonly<Counters>;
  /** The runtime's own device: to be lost on purpose, or shared with other work. */
  readonly gpu_device: GPUDevice;
  load(program: Program, weights: WeightSource, options: DeviceLoadOptions): Promise<WebGpuModel>;
}

/**
 * Opens the runtime's GPU (`navigator.gpu`, or what the package `webgpu` gives in Node).
 *
 * @throws CapstanError `unsupported` when there is no adapter or it gives no device
 */
export async function openWebGpu(gpu: GPU, options: OpenOptions = {}): Promise<WebGpuDevice> {
  const { adapter } = await findAdapter(gpu, options);
  const { device, report } = await openDevice(adapter, options);
  return new WebGpu(new Gpu(device, report));
}

class WebGpu implements WebGpuDevice {
  readonly kind = "webgpu";
  readonly description: string;
  readonly dtypes = STORED_DTYPES;
  readonly adapter: AdapterReport;
  readonly counters: Readonly<Counters>;
  readonly gpu_device: GPUDevice;
  readonly #gpu: Gpu;
  readonly #models = new Set<GpuModel>();

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
    this.adapter = gpu.adapter;
    this.counters = gpu.counters;
    this.gpu_device = gpu.device;
    const { name, software, features } = gpu.adapter;
    const has = Object.entries(features).flatMap(([feature, there]) => (there ? [feature] : []));
    this.description = `WebGPU on ${name}${software ? " (software adapter: correct, slow)" : ""}${has.length > 0 ? `, with ${has.join(", ")}` : ""}`;
  }

  async load(program: Program, weights: WeightSource, options: DeviceLoadOptions): Promise<WebGpuModel> {
    this.#gpu.alive();
    const model: GpuModel = await GpuModel.load(this.#gpu, program, weights, options, () => {
      this.#models.delete(model);
    });
    this.#models.add(model);
    return model;
  }

  async dispose(): Promise<void> {
    for (const model of [...this.#models]) await model.dispose();
    this.#gpu.destroy(
      new CapstanError("device_lost", {
        action: "run on the GPU",
        need: "a living device",
        found: "a disposed one",
      }),
    );
  }
}
