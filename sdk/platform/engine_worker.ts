/**
 * What the engine's worker runs: the CPU device, for the thread that started it. The first message brings the compiled
 * engine, so that nothing is read or compiled here; what is imported is what it needs and no more.
 */

import { createWasmDevice } from "../../core-wasm/engine/device.ts";
import { Engine } from "../../core-wasm/engine/engine.ts";
import type { WasmModule } from "../../core-wasm/webassembly.ts";
import type { Port } from "../../core-wasm/worker/port.ts";
import { serveDevice } from "../../core-wasm/worker/serve.ts";
import { present } from "../../models/certain.ts";
import { has_system, system } from "./system.ts";

/** What the first message holds. */
export interface WorkerStart {
  engine: WasmModule;
  /** A lock that the worker holds for as long as it lives; null where the other side learns of its end anyway. */
  lock: string | null;
}

const port = has_system ? systemPort() : pagePort();
port.onMessage((message) => {
  const { engine, lock } = message as WorkerStart;
  const serve = () => serveDevice(port, createWasmDevice(new Engine(engine)));
  if (lock === null) serve();
  else holdLock(lock, serve);
});

function systemPort(): Port {
  const parent = present(system("node:worker_threads", "serve the engine").parentPort, "a parent");
  let receive: (message: unknown) => void = () => {};
  parent.on("message", (message: unknown) => receive(message));
  return {
    post: (message, transfer = []) => parent.postMessage(message, transfer as readonly ArrayBuffer[]),
    onMessage(call) {
      receive = call;
    },
  };
}

function pagePort(): Port {
  const scope = globalThis as unknown as {
    onmessage: (event: { data: unknown }) => void;
    postMessage(message: unknown, transfer: readonly ArrayBufferLike[]): void;
  };
  return {
    post: (message, transfer = []) => scope.postMessage(message, transfer),
    onMessage(call) {
      scope.onmessage = ({ data }) => call(data);
    },
  };
}

/**
 * A browser says nothing to a page of a worker that ended; it gives the worker's locks to whoever waits for them.
 *
 * @param held called once the lock is this worker's
 */
function holdLock(name: string, held: () => void): void {
  const { locks } = (globalThis as unknown as { navigator: { locks: Locks } }).navigator;
  void locks.request(name, () => {
    held();
    return new Promise(() => {});
  });
}

interface Locks {
  request(name: string, hold: () => Promise<never>): Promise<unknown>;
}
