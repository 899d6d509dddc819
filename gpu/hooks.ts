import type { HookSetId } from "../models/device.ts";
import { unknownId } from "../models/errors.ts";
import { type DeviceHook, projectionCount } from "../models/hooks.ts";
import { Arena } from "./arena.ts";
import { NONE } from "./constants.ts";
import type { Gpu } from "./context.ts";

const OPS = { clamp: 0, shift: 1, remove: 2, project: 3 } as const;
/** Words of one hook's record, as `wgsl/hooks.ts` reads it. */
const RECORD = 8;
/** Bounds that no finite projection passes: shaders may take infinities for granted not to be there. */
const MAX_F32 = 3.4028234663852886e38;

/** A set as the device holds it: a table of sites (where each site's records begin), records, vectors. */
export interface HookSet {
  at: number;
  length: number;
  n_projections: number;
}

/** Hooks of all sequences, uploaded once, each set to be named by any number of sequences. */
export class HookStore {
  readonly #gpu: Gpu;
  readonly #n_sites: number;
  readonly #d_model: number;
  readonly #arena: Arena;
  readonly #sets = new Map<HookSetId, HookSet>();
  #next: HookSetId = 1;

  constructor(gpu: Gpu, n_sites: number, d_model: number, on_grow: () => void) {
    this.#gpu = gpu;
    this.#n_sites = n_sites;
    this.#d_model = d_model;
    this.#arena = new Arena(gpu, "hooks", on_grow);
  }

  get buffer(): GPUBuffer {
    return this.#arena.buffer;
  }

  get(id: HookSetId): HookSet | undefined {
    return this.#sets.get(id);
  }

  add(hooks: readonly DeviceHook[]): HookSetId {
    const n_vectors = hooks.reduce((n, hook) => n + vectorsOf(hook).length, 0);
    const length = this.#n_sites + 1 + RECORD * hooks.length + this.#d_model * n_vectors;
    const at = this.#arena.take(length);
    const words = this.#pack(hooks, at, length);
    this.#gpu.write(this.#arena.buffer, 4 * at, new Uint8Array(words.buffer));
    this.#sets.set(this.#next, { at, length, n_projections: projectionCount(hooks) });
    return this.#next++;
  }

  free(id: HookSetId): void {
    const set = this.#sets.get(id);
    if (set === undefined) throw unknownId("free hooks", "hook set", id);
    this.#sets.delete(id);
    this.#arena.give(set.at, set.length);
  }

  dispose(): void {
    this.#arena.dispose();
  }

  #pack(hooks: readonly DeviceHook[], at: number, length: number): Uint32Array {
    const words = new Uint32Array(length);
    const floats = new Float32Array(words.buffer);
    // Stable: hooks of one site stay in call order.
    const sorted = [...hooks].sort((a, b) => a.site - b.site);
    let record = this.#n_sites + 1;
    let vector = record + RECORD * hooks.length;
    const store = (values: Float32Array | null): number => {
      if (values === null) return NONE;
      floats.set(values, vector);
      vector += this.#d_model;
      return at + vector - this.#d_model;
    };
    for (let site = 0, next = 0; site <= this.#n_sites; site++) {
      words[site] = at + record;
      for (; site < this.#n_sites && sorted[next]?.site === site; next++, record += RECORD) {
        const hook = sorted[next]!;
        words[record] = OPS[hook.op];
        words[record + 1] = hook.op !== "project" && hook.positions === "last" ? 1 : 0;
        words[record + 2] = store("direction" in hook ? hook.direction : null);
        words[record + 3] = store("delta" in hook ? hook.delta : null);
        if (hook.op === "clamp") {
          floats[record + 4] = Math.max(hook.floor, -MAX_F32);
          floats[record + 5] = Math.min(hook.ceiling, MAX_F32);
        }
        words[record + 6] = hook.op === "project" ? hook.output : 0;
      }
    }
    return words;
  }
}

function vectorsOf(hook: DeviceHook): Float32Array[] {
  const found = ["direction" in hook ? hook.direction : null, "delta" in hook ? hook.delta : null];
  return found.filter((vector) => vector !== null);
}
