import { createWasmDevice } from "../core-wasm/index.ts";
import { openWebGpu } from "../gpu/index.ts";
import { CapstanError, type Device } from "../models/index.ts";
import { engine } from "../sdk/platform/engine.ts";
import { requireWebGpu } from "../sdk/platform/webgpu.ts";
import { openEngineWorker } from "../sdk/platform/worker.ts";
import { createTruthDevice } from "./truth/index.ts";

/** Every device that runs wherever the tests do. A new one is a line here. */
export const DEVICES: Record<string, () => Promise<Device>> = {
  truth: async () => createTruthDevice(),
  wasm: async () => createWasmDevice(await engine()),
};

/** Beside them those that need more than a runtime: `testing/runtimes` runs them where it is. */
export const ALL_DEVICES: Record<string, () => Promise<Device>> = {
  ...DEVICES,
  wasm_worker: openEngineWorker,
  webgpu: async () => openWebGpu(await requireWebGpu("open a device")),
  // With the kernels that a GPU gets: on a software adapter others are faster.
  webgpu_as_hardware: async () => openWebGpu(await requireWebGpu("open a device"), { as_hardware: true }),
};

const kept = new Map<string, Promise<Device>>();

/**
 * One device of a kind for all who ask for it: an adapter in software takes half a minute to compile the kernels.
 *
 * @throws CapstanError `bad_request` for a name that `ALL_DEVICES` lacks
 */
export function keptDevice(name: string): Promise<Device> {
  const device = kept.get(name) ?? creator(name)();
  kept.set(name, device);
  return device;
}

/** What makes a device of this name. @throws CapstanError `bad_request` */
export function creator(name: string): () => Promise<Device> {
  const create = ALL_DEVICES[name];
  if (create !== undefined) return create;
  throw new CapstanError("bad_request", {
    action: "open a device",
    need: Object.keys(ALL_DEVICES).join(" or "),
    found: name,
  });
}
