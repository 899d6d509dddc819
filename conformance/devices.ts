import { createWasmDevice } from "../core-wasm/index.ts";
import type { Device } from "../models/index.ts";
import { engine } from "../sdk/platform/engine.ts";
import { createTruthDevice } from "./truth/index.ts";

/** Every device that the contract runs over. A new one is a line here. */
export const DEVICES: Record<string, () => Promise<Device>> = {
  truth: async () => createTruthDevice(),
  wasm: async () => createWasmDevice(await engine()),
};
