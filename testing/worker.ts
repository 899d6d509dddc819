import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { provideEngineWorker } from "../sdk/platform/worker.ts";
import { buildDist, root } from "./runtimes/runtimes.ts";

/** Has engines start in workers of dist/: Node 20 runs no TypeScript in one. */
export function useBuiltWorker(): void {
  buildDist();
  provideEngineWorker(pathToFileURL(join(root, "dist", "js", "engine_worker.js")));
}
