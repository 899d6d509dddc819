import { CapstanError } from "../../models/index.ts";
import { has_system, is_workerd, system } from "./system.ts";

/** The runtime's way to its GPUs, or why there is none. */
export type WebGpu = { gpu: GPU } | { gpu: null; found: string; fix: string };

/** What the npm package `webgpu` gives: Dawn, Chromium's WebGPU, for Node. */
interface Dawn {
  create(options: string[]): GPU;
  globals: object;
}

// Held as long as the process lives: once Dawn's GPU object is collected while a device of it is not, the process
// hangs or crashes at its end.
let found: Promise<WebGpu> | undefined;

/** The runtime's own WebGPU (Deno, browsers and their Workers), or in Node the optional package `webgpu`. */
export function findWebGpu(): Promise<WebGpu> {
  found ??= find();
  return found;
}

/** As `findWebGpu`; throws CapstanError `unsupported` where there is none. */
export async function requireWebGpu(action: string): Promise<GPU> {
  const webgpu = await findWebGpu();
  if (webgpu.gpu !== null) return webgpu.gpu;
  const { found, fix } = webgpu;
  throw new CapstanError("unsupported", { action, need: "a runtime with WebGPU", found, fix });
}

/** Files by which Linux shows a GPU: its render nodes, NVIDIA's driver, WSL, phones and boards. */
const GPU_FILES = /^(dri|nvidia\d+|nvidiactl|dxg|mali\d*|kgsl-3d0)$/;

/**
 * Whether the machine may have a GPU. To ask WebGPU itself takes some 80 ms in Node, and lets its drivers print; on
 * Linux, where it matters most (servers, containers), a look at the devices tells.
 */
export async function mayHaveGpu(): Promise<boolean> {
  if (!has_system || system("node:process", "look for a GPU").platform !== "linux") return true;
  const names = await system("node:fs/promises", "look for a GPU")
    .readdir("/dev")
    .catch(() => []);
  return names.some((name) => GPU_FILES.test(name));
}

async function find(): Promise<WebGpu> {
  const { navigator, isSecureContext } = globalThis as {
    navigator?: { gpu?: GPU };
    isSecureContext?: boolean;
  };
  if (navigator?.gpu !== undefined) return { gpu: navigator.gpu };
  if (has_system) return await findDawn();
  return isSecureContext === false
    ? { gpu: null, found: "a page from plain http", fix: "Serve it over https, or from localhost." }
    : {
        gpu: null,
        found: `none in ${is_workerd ? "workerd" : "this one"}`,
        fix: 'Use device "wasm", or a browser that has WebGPU.',
      };
}

async function findDawn(): Promise<WebGpu> {
  // Not a literal: the package is optional, and bundlers would ask for what an import names.
  const name = "webgpu";
  try {
    const { create, globals } = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as Dawn;
    Object.assign(globalThis, globals);
    return { gpu: create([]) };
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    if (code === "ERR_MODULE_NOT_FOUND") {
      return { gpu: null, found: "no package webgpu", fix: "Install it: npm install webgpu." };
    }
    const fix = "Its binary may not fit this system: install it again with npm install webgpu.";
    return { gpu: null, found: `a package webgpu that fails: ${String(message)}`, fix };
  }
}
