/** The CPU device: a Rust engine in WebAssembly, behind the `Device` contract of `models/device.ts`. */
export { createWasmDevice } from "./device.ts";
export { type Engine, engineUrl, loadEngine } from "./engine.ts";
export { headerLength, type SafetensorsHeader, type TensorPlace } from "./safetensors.ts";
export type { BufferSource, WasmModule } from "./webassembly.ts";
