import type { AdapterReport } from "../../gpu/index.ts";
import { CapstanError, type Device, type Warn } from "../../models/index.ts";
import { engine } from "../platform/engine.ts";
import { findWebGpu, mayHaveGpu, requireWebGpu } from "../platform/webgpu.ts";
import type { LoadOptions } from "../types.ts";
import { AutoDevice } from "./auto_device.ts";

/**
 * The device that `options.device` names. `auto` is WebGPU on a GPU, and WASM where there is none: a software adapter
 * is slower than WASM and runs only when WebGPU is asked for.
 *
 * @param warn called where WASM was to run in a worker and runs on this thread
 * @throws CapstanError `unsupported`
 */
export async function createDevice(options: LoadOptions, warn: Warn = () => {}): Promise<Device> {
  if (options.threads !== undefined && options.threads !== 1) {
    throw new CapstanError("unsupported", {
      action: "load a model",
      need: "threads 1",
      found: String(options.threads),
      fix: "This version's WASM engine runs on one thread.",
    });
  }
  const asked = options.device ?? "auto";
  const open = (device: "wasm" | "webgpu") =>
    device === "wasm" ? openWasm(options.worker, warn) : openGpu();
  if (asked !== "auto") return await open(asked);
  const { device, why } = await chooseDevice();
  return new AutoDevice(await open(device), why, () => open("wasm"));
}

/** In a worker where that is wanted and one starts, else on this thread. */
async function openWasm(worker: boolean | undefined, warn: Warn): Promise<Device> {
  const compiled = engine();
  compiled.catch(() => {});
  if (worker !== false) {
    const { isMainThread, openEngineWorker, whyNoWorker } = await import("../platform/worker.ts");
    const why = whyNoWorker();
    if (worker ?? (why === null && isMainThread())) {
      if (why !== null) warn(`The engine runs on the calling thread, in small steps: no worker, for ${why}.`);
      else {
        const device = await openEngineWorker().catch((error: unknown) => {
          const found = error instanceof CapstanError ? error.parts.found : String(error);
          warn(`The engine runs on the calling thread, in small steps: no worker started (${found}).`);
        });
        if (device !== undefined) return device;
      }
    }
  }
  const { createWasmDevice } = await import("../../core-wasm/engine/device.ts");
  return createWasmDevice(await compiled);
}

async function openGpu(): Promise<Device> {
  const gpu = await requireWebGpu("load a model on webgpu");
  const { openWebGpu } = await import("../../gpu/index.ts");
  return await openWebGpu(gpu);
}

/** What `auto` chooses on this machine, and why. */
export async function chooseDevice(): Promise<{ device: "wasm" | "webgpu"; why: string }> {
  if (!(await mayHaveGpu())) return { device: "wasm", why: "this machine shows no GPU" };
  const found = await describeWebGpu();
  if (found.adapter === null) return { device: "wasm", why: `no WebGPU: ${found.why}` };
  const { name, software } = found.adapter;
  return software
    ? { device: "wasm", why: `WebGPU has a software adapter only (${name}), which is slower` }
    : { device: "webgpu", why: "a GPU is there" };
}

/** The adapter that WebGPU gives on this machine, or why there is none. */
export async function describeWebGpu(): Promise<
  { adapter: AdapterReport } | { adapter: null; why: string; fix?: string }
> {
  const webgpu = await findWebGpu();
  if (webgpu.gpu === null) return { adapter: null, why: webgpu.found, fix: webgpu.fix };
  const { findAdapter } = await import("../../gpu/index.ts");
  try {
    return { adapter: (await findAdapter(webgpu.gpu)).report };
  } catch (error) {
    if (!(error instanceof CapstanError)) throw error;
    return { adapter: null, why: "no adapter" };
  }
}
