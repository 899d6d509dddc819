import { createWasmDevice } from "../core-wasm/index.ts";
import { openWebGpu } from "../gpu/index.ts";
import type { Device } from "../models/index.ts";
import { engine } from "../sdk/platform/engine.ts";
import { requireWebGpu } from "../sdk/platform/webgpu.ts";
import { createTruthDevice } from "./truth/index.ts";

/** Every device that runs wherever the tests do. A new one is a line here. */
export const DEVICES: Record<string, () => Promise<Device>> = {
  truth: async () => createTruthDevice(),
  wasm: async () => createWasmDevice(await engine()),
};

/** Beside them those that need more than a runtime: `conformance/runtimes` runs them where it is. */
export const ALL_DEVICES: Record<string, () => Promise<Device>> = {
  ...DEVICES,
  webgpu: async () => openWebGpu(await requireWebGpu("open a device")),
  // With the kernels that a GPU gets: on a software adapter others are faster.
  webgpu_as_hardware: async () => openWebGpu(await requireWebGpu("open a device"), { as_hardware: true }),
};
