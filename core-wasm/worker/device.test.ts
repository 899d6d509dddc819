import { MessageChannel, type MessagePort } from "node:worker_threads";
import { afterEach, describe, expect, it } from "vitest";
import { stepEntry } from "../../conformance/contract/entry.ts";
import { GREEDY } from "../../conformance/contract/params.ts";
import { TINIES, type Tiny } from "../../conformance/contract/tiny.ts";
import { createTruthDevice } from "../../conformance/truth/index.ts";
import {
  buildProgram,
  CapstanError,
  type Device,
  type DeviceLoadOptions,
  type DeviceModel,
  type StepEntry,
  type WeightSource,
} from "../../models/index.ts";
import { openWorkerDevice, type Port, type WorkerPort } from "../index.ts";
import { serveDevice } from "./serve.ts";

/**
 * What the messages owe beside the device contract, which `conformance/contract` holds an engine's worker to. Here the
 * device is the truth, or one that fails as a test wants it, at the other end of a channel in the same thread.
 */

const tiny = TINIES[0];
const wide = TINIES.find(({ name }) => name.startsWith("wide"))!;
const open: MessagePort[] = [];
afterEach(() => {
  for (const port of open.splice(0)) port.close();
});

/** A device behind messages, and what was seen of them. */
async function served(device: Device = createTruthDevice()) {
  const { port1, port2 } = new MessageChannel();
  open.push(port1, port2);
  const seen = {
    /** Whether the worker was to hold the process, as it changed. */
    holds: [] as boolean[],
    n_closed: 0,
    /** What the worker was sent. */
    sent: [] as unknown[],
    /** Bytes of the arrays that the worker transferred. */
    transferred: [] as number[],
    /** Ends the worker. */
    end: (_: unknown) => {},
  };
  const caller: WorkerPort = {
    post: (message, transfer = []) => port1.postMessage(message, transfer as ArrayBuffer[]),
    onMessage: (call) => void port1.on("message", call),
    onClosed(call) {
      seen.end = call;
    },
    hold: (held) => void seen.holds.push(held),
    async close() {
      seen.n_closed++;
    },
  };
  const worker: Port = {
    post(message, transfer = []) {
      seen.transferred.push(...transfer.map(({ byteLength }) => byteLength));
      port2.postMessage(message, transfer as ArrayBuffer[]);
    },
    onMessage(call) {
      port2.on("message", (message: unknown) => {
        seen.sent.push(message);
        call(message);
      });
    },
  };
  const opening = openWorkerDevice(caller);
  serveDevice(worker, device);
  return { device: await opening, seen };
}

function load(device: Device, made: Tiny = tiny, changes: Partial<DeviceLoadOptions> = {}) {
  const options = { dtype: "auto" as const, n_ctx: 64, ropes: made.decoder.spec.ropes, ...changes };
  return device.load(buildProgram(made.decoder), made.weights, options);
}

async function entryOf(model: DeviceModel, changes: Partial<StepEntry> = {}): Promise<StepEntry> {
  const blocks = Int32Array.from(await model.allocBlocks(1));
  return stepEntry({ tokens: Int32Array.of(1, 2, 3), blocks, ...changes });
}

function errorOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => expect.unreachable("it did not fail"),
    (error: unknown) => error,
  );
}

/** The truth, some of whose calls are others. */
function changed(change: (model: DeviceModel) => Partial<DeviceModel>): Device {
  const device = createTruthDevice();
  const load: Device["load"] = async (...of) => {
    const model = await device.load(...of);
    return Object.assign(model, change(model));
  };
  return { ...device, load };
}

/** A step that never ends. */
const stuck = () => changed(() => ({ step: () => new Promise(() => {}) }));

describe("results", () => {
  it("are the device's, and the large ones are transferred", async () => {
    const { device, seen } = await served();
    const model = await load(device, wide);
    const alone = await load(createTruthDevice(), wide);
    const asked = { logits: "all", captures: [1, 3], sample: GREEDY } as const;
    const found = await model.step([await entryOf(model, asked)]);
    expect(found).toEqual(await alone.step([await entryOf(alone, asked)]));
    // [3 tokens * 515 ids] of f32, and two of [3 * 136].
    expect(seen.transferred).toEqual([6180, 1632, 1632]);
  });

  it("come in the order of the calls, where two steps are on their way and the second follows the first", async () => {
    const { device } = await served();
    const model = await load(device);
    expect(model.n_in_flight).toBe(2);
    const first = await entryOf(model, { sample: GREEDY });
    const next = { ...first, tokens: Int32Array.of(0), follows: 0, position: 3 };
    const steps = [model.step([first]), model.step([next])];
    // What a step on its way names may be freed: calls take effect in their order.
    model.freeBlocks([...first.blocks]);
    const [drawn, second] = (await Promise.all(steps)).map(([result]) => result!.token);
    const alone = await load(createTruthDevice());
    const [expected] = await alone.step([
      await entryOf(alone, { tokens: Int32Array.of(1, 2, 3, drawn!), sample: GREEDY }),
    ]);
    expect(second).toBe(expected!.token);
  });
});

it("a view is sent without the rest of its buffer", async () => {
  const { device, seen } = await served();
  const model = await load(device);
  const tokens = new Int32Array(1 << 16).fill(1).subarray(5, 8);
  await model.step([await entryOf(model, { tokens })]);
  const { of } = seen.sent.at(-1) as { of: { batch: StepEntry[] } };
  expect(of.batch[0]!.tokens.buffer.byteLength).toBe(12);
});

describe("an error", () => {
  it("of the device is the same CapstanError, its causes too", async () => {
    const inner = new CapstanError("busy", { action: "a", need: "b", found: "c" }, { retry_after: 7 });
    const range = new RangeError("out of it", { cause: inner });
    const parts = { action: "run a step", need: "luck", found: "none", fix: "Try again." };
    const thrown = new CapstanError("out_of_memory", parts, { cause: range });
    const { device } = await served(changed(() => ({ step: () => Promise.reject(thrown) })));
    const model = await load(device);
    const error = (await errorOf(model.step([await entryOf(model)]))) as CapstanError;
    expect(error).toBeInstanceOf(CapstanError);
    expect([error.code, error.parts, error.message]).toEqual(["out_of_memory", parts, thrown.message]);
    const cause = error.cause as RangeError;
    expect([cause.name, cause.message, cause.stack]).toEqual(["RangeError", "out of it", range.stack]);
    const last = cause.cause as CapstanError;
    expect([last.code, last.parts, last.retry_after]).toEqual(["busy", inner.parts, 7]);
  });

  it.each([["text", "text"] as const, [{ a: () => 1 }, "[object Object]"] as const, [undefined, undefined]])(
    "that is none comes through: %o",
    async (thrown, found) => {
      const { device } = await served(changed(() => ({ step: () => Promise.reject(thrown) })));
      const model = await load(device);
      expect(await errorOf(model.step([await entryOf(model)]))).toBe(found);
    },
  );

  it("of hooks or of an accumulator that were added is that of what names them, and of nothing else", async () => {
    const full = (): never => {
      throw new CapstanError("out_of_memory", { action: "add", need: "memory", found: "none" });
    };
    const { device } = await served(changed(() => ({ addHooks: full, addAccumulator: full })));
    const model = await load(device);
    const [hooks, id] = [model.addHooks([]), model.addAccumulator([0])];
    const named = { code: "out_of_memory" };
    expect(await errorOf(model.step([await entryOf(model, { hooks })]))).toMatchObject(named);
    const accumulate = [{ id, start: 0, end: 1 }];
    expect(await errorOf(model.step([await entryOf(model, { accumulate })]))).toMatchObject(named);
    expect(await errorOf(model.readAccumulator(id))).toMatchObject(named);
    model.freeHooks(hooks);
    model.freeAccumulator(id);
    expect(await model.step([await entryOf(model)])).toHaveLength(1);
  });

  it("of hooks whose vectors have another length is thrown at once", async () => {
    const { device } = await served();
    const model = await load(device);
    for (const field of ["direction", "delta"] as const) {
      const vectors = { direction: new Float32Array(32), delta: new Float32Array(32) };
      const hook = { op: "remove", site: 0, positions: "all", ...vectors } as const;
      const wrong = { ...hook, [field]: new Float32Array(31) };
      expect(() => model.addHooks([wrong])).toThrow("need vectors [32], found [31]");
    }
  });
});

describe("a load", () => {
  /** The tiny model's weights, of which every read goes by `read`. */
  function source(read: (bytes: Promise<Uint8Array>) => Promise<Uint8Array>): WeightSource {
    return {
      parts: (slot) =>
        tiny.weights.parts(slot).map((tensor) => {
          return { ...tensor, read: (start, end) => read(tensor.read(start, end)) };
        }),
    };
  }

  it("leaves a source's own memory alone, whatever kind of array it gives", async () => {
    const kept: Uint8Array[] = [];
    const weights = source(async (bytes) => {
      const given = Buffer.from(await bytes);
      kept.push(given);
      return given;
    });
    const { device } = await served();
    await load(device, { ...tiny, weights });
    expect(kept.length).toBeGreaterThan(5);
    for (const { byteLength } of kept) expect(byteLength).toBeGreaterThan(0);
  });

  it("rejects with what its source threw", async () => {
    const thrown = new RangeError("the disk is gone");
    const { device } = await served();
    const weights = source(() => Promise.reject(thrown));
    expect(await errorOf(load(device, { ...tiny, weights }))).toBe(thrown);
  });

  it("rejects with what its caller's on_progress threw, and reads nothing more", async () => {
    const thrown = new RangeError("no more");
    let n_reads = 0;
    const weights = source((bytes) => {
      n_reads++;
      return bytes;
    });
    const on_progress = () => {
      throw thrown;
    };
    const { device } = await served();
    expect(await errorOf(load(device, { ...tiny, weights }, { on_progress }))).toBe(thrown);
    expect(n_reads).toBeLessThan(4);
  });

  it("that is aborted has the reason of the signal", async () => {
    const reason = { mine: () => 1 };
    const controller = new AbortController();
    const on_progress = () => controller.abort(reason);
    const { device } = await served();
    const error = await errorOf(load(device, tiny, { signal: controller.signal, on_progress }));
    expect(error).toMatchObject({ code: "aborted" });
    expect((error as CapstanError).cause).toBe(reason);
    await load(device, tiny, { signal: new AbortController().signal });
  });
});

describe("a worker that ends", () => {
  // Without an error they would wait for ever.
  it("is one device_lost to all that waits and all that comes, with what it ended of", {
    timeout: 10_000,
  }, async () => {
    const { device, seen } = await served(stuck());
    const model = await load(device);
    const entry = await entryOf(model);
    const waiting = [model.step([entry]), model.step([entry]), model.allocBlocks(1)].map(errorOf);
    const cause = new Error("it ran out of memory");
    seen.end(cause);
    seen.end(new Error("and again"));
    for (const error of await Promise.all(waiting)) {
      expect(error).toMatchObject({ code: "device_lost", cause });
      expect(String(error)).toContain("found a worker that ended: it ran out of memory. The model must be");
    }
    expect(await errorOf(model.step([entry]))).toMatchObject({ code: "device_lost" });
    expect(() => model.addHooks([])).toThrow("a worker that ended");
    expect(() => model.freeBlocks([...entry.blocks])).toThrow("a worker that ended");
    expect(await errorOf(load(device))).toMatchObject({ code: "device_lost" });
    await model.dispose();
  });

  it("while a model loads is that load's error", async () => {
    const { device, seen } = await served({ ...createTruthDevice(), load: () => new Promise(() => {}) });
    const loading = errorOf(load(device));
    seen.end("exit code 3");
    expect(await loading).toMatchObject({ code: "device_lost", cause: "exit code 3" });
  });

  it("before it is ready is the error of opening it", async () => {
    const { port1, port2 } = new MessageChannel();
    open.push(port1, port2);
    let end: (why: unknown) => void = () => {};
    const port = { post() {}, onMessage() {}, hold() {}, close: async () => {} };
    const onClosed = (call: typeof end) => {
      end = call;
    };
    const opening = errorOf(openWorkerDevice({ ...port, onClosed }));
    end("no such script");
    expect(await opening).toMatchObject({ code: "device_lost", cause: "no such script" });
  });
});

describe("the process", () => {
  it("is held while a call waits, and at no other time", async () => {
    const { device, seen } = await served();
    const model = await load(device);
    expect(seen.holds).toEqual([true, false, true, false]);
    const entry = await entryOf(model);
    seen.holds.length = 0;
    const steps = [model.step([entry]), model.step([entry])];
    expect(seen.holds).toEqual([true]);
    await Promise.all(steps);
    expect(seen.holds).toEqual([true, false]);
    model.freeBlocks([...entry.blocks]);
    model.addHooks([]);
    expect(seen.holds).toEqual([true, false]);
  });

  it("is let go of where the device is disposed of, and what waits is device_lost", async () => {
    const { device, seen } = await served(stuck());
    const model = await load(device);
    const waiting = errorOf(model.step([await entryOf(model)]));
    await device.dispose();
    expect(await waiting).toMatchObject({ code: "device_lost" });
    expect([seen.holds.at(-1), seen.n_closed]).toEqual([false, 1]);
  });
});
