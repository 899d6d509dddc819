import { openBrowser } from "../runtimes/browser.ts";
import { bunRuntime, denoRuntime, nodeRuntime } from "../runtimes/runtimes.ts";
import { openTaskWorkerd } from "../runtimes/workerd.ts";
import type { Column } from "./rows.ts";

/** The runtimes that the table compares, in its order. */
export const COLUMNS: readonly Column[] = [
  {
    name: "Node",
    part: null,
    gpu_part: "webgpu",
    open: async () => ({ runtime: nodeRuntime(), origin: null }),
  },
  {
    name: "Deno",
    part: "deno",
    gpu_part: "vulkan",
    open: async () => ({ runtime: denoRuntime(), origin: null }),
  },
  {
    name: "Bun",
    part: "bun",
    gpu_part: "webgpu",
    open: async () => ({ runtime: bunRuntime(), origin: null }),
  },
  {
    name: "Chromium",
    part: "chromium",
    gpu_part: "chromium",
    async open() {
      const browser = await openBrowser();
      const page = await browser.page();
      const close = async () => {
        await page[Symbol.asyncDispose]();
        await browser[Symbol.asyncDispose]();
      };
      return { runtime: { run: page.run, [Symbol.asyncDispose]: close }, origin: browser.origin };
    },
  },
  {
    name: "workerd",
    part: "workerd",
    gpu_part: null,
    async open() {
      const runtime = await openTaskWorkerd();
      return { runtime, origin: runtime.origin };
    },
  },
];
