import { itemAt } from "../models/certain.ts";
import { HOOK_OPS } from "../models/codes.ts";
import type { HookSetId } from "../models/device.ts";
import { unknownId } from "../models/errors.ts";
import { type DeviceHook, projectionCount } from "../models/hooks.ts";
import { Arena } from "./arena.ts";
import type { Gpu } from "./context.ts";
import { HOOK } from "./layout/hooks.ts";
import { nearestF32 } from "./layout/record.ts";

/** A set as the device holds it (`layout/hooks.ts`): a table of sites, hooks, vectors. */
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

  /** @throws CapstanError `out_of_memory` */
  add(hooks: readonly DeviceHook[]): HookSetId {
    const n_vectors = hooks.reduce((n, hook) => n + vectorsOf(hook).length, 0);
    const length = this.#n_sites + 1 + HOOK.stride * hooks.length + this.#d_model * n_vectors;
    const at = this.#arena.take(length);
    this.#gpu.write(this.#arena.buffer, 4 * at, this.#pack(hooks, at, length));
    this.#sets.set(this.#next, { at, length, n_projections: projectionCount(hooks) });
    return this.#next++;
  }

  free(id: HookSetId): void {
    const set = this.#sets.get(id);
    if (set === undefined) throw unknownId("free hooks", "hook set", id);
    this.#sets.delete(id);
    this.#arena.free(set.at, set.length);
  }

  dispose(): void {
    this.#arena.dispose();
  }

  #pack(hooks: readonly DeviceHook[], at: number, length: number): Uint8Array<ArrayBuffer> {
    const u32 = new Uint32Array(length);
    const f32 = new Float32Array(u32.buffer);
    // Stable: hooks of one site stay in call order.
    const sorted = [...hooks].sort((a, b) => a.site - b.site);
    let hook_at = this.#n_sites + 1;
    let vector = hook_at + HOOK.stride * hooks.length;
    const store = (values: Float32Array | null): number | null => {
      if (values === null) return null;
      f32.set(values, vector);
      vector += this.#d_model;
      return at + vector - this.#d_model;
    };
    for (let site = 0, next = 0; site <= this.#n_sites; site++) {
      u32[site] = at + hook_at;
      for (; site < this.#n_sites && sorted[next]?.site === site; next++, hook_at += HOOK.stride) {
        const hook = itemAt(sorted, next);
        const { floor, ceiling } = hook.op === "clamp" ? hook : { floor: 0, ceiling: 0 };
        HOOK.write({ u32, f32 }, hook_at, {
          op: HOOK_OPS[hook.op],
          only_last: hook.op !== "project" && hook.positions === "last",
          direction_at: store("direction" in hook ? hook.direction : null),
          delta_at: store("delta" in hook ? hook.delta : null),
          // Bounds that no finite projection passes stand for none.
          floor: nearestF32(floor),
          ceiling: nearestF32(ceiling),
          output: hook.op === "project" ? hook.output : 0,
        });
      }
    }
    return new Uint8Array(u32.buffer);
  }
}

function vectorsOf(hook: DeviceHook): Float32Array[] {
  const found = ["direction" in hook ? hook.direction : null, "delta" in hook ? hook.delta : null];
  return found.filter((vector) => vector !== null);
}
