declare const Worker: new (url: URL, options: { type: "module" }) => unknown;

/** Opens the Worker of tasks where a bundler looks for one, as an application does. */
(globalThis as { worker?: unknown }).worker = new Worker(new URL("./worker.ts", import.meta.url), {
  type: "module",
});
