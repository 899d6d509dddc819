/** The WebGPU device: WGSL kernels behind the `Device` contract of `models/device.ts`. */
export { type AdapterReport, findAdapter, type GpuLimits, type OpenOptions } from "./adapter.ts";
export type { Counters } from "./context.ts";
export { openWebGpu, type WebGpuDevice } from "./device.ts";
export type { WebGpuModel } from "./model.ts";
export type { StageTime } from "./profile.ts";
