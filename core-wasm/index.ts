/** The CPU device: a Rust engine in WebAssembly, behind the `Device` contract of `models/device.ts`. */
export { type Feature, wasmFeatures } from "./builds/features.ts";
export { createWasmDevice } from "./engine/device.ts";
export { type Engine, engineUrl, loadEngine } from "./engine/engine.ts";
export { headerLength, type SafetensorsHeader, type TensorPlace } from "./engine/safetensors.ts";
export type { BufferSource, WasmModule } from "./webassembly.ts";
export { openWorkerDevice } from "./worker/device.ts";
export type { Port, WorkerPort } from "./worker/port.ts";
