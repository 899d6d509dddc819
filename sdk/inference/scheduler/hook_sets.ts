import { entryOf } from "../../../models/certain.ts";
import type { DeviceHook, DeviceModel, HookPlan, HookSetId } from "../../../models/index.ts";
import { Sha256 } from "../../common/sha256.ts";
import { freeOn } from "./free_on.ts";

/** A set of hooks on the device, in use by one caller. */
export interface HookSet {
  readonly id: HookSetId;
  readonly plan: HookPlan;
  /** Equal for sets whose interventions are equal, whatever they read: a key of the prefix cache. "" for none. */
  readonly interventions: string;
  /** By its output, each projection: equal for equal ones among equal interventions. */
  readonly readings: readonly string[];
}

interface Entry {
  readonly id: HookSetId;
  readonly interventions: string;
  readonly readings: readonly string[];
  users: number;
}

/**
 * Uploads each distinct set of hooks once for as long as somebody uses it. Sets are compared by content: the caller's
 * arrays may be new in every call, or changed between calls.
 */
export class HookSets {
  readonly #device: DeviceModel;
  readonly #sets = new Map<string, Entry>();
  /** The key of each set that `acquire` gave and `release` has not taken back. */
  readonly #keys = new Map<HookSet, string>();

  constructor(device: DeviceModel) {
    this.#device = device;
  }

  /** Distinct sets in use. */
  get size(): number {
    return this.#sets.size;
  }

  acquire(plan: HookPlan): HookSet {
    const key = plan.hooks.map(contentKey).join(";");
    let entry = this.#sets.get(key);
    if (entry === undefined) {
      const acting = plan.hooks.filter((hook) => hook.op !== "project").map(contentKey);
      const id = plan.hooks.length === 0 ? 0 : this.#device.addHooks(plan.hooks);
      entry = { id, interventions: acting.join(";"), readings: readingsOf(plan.hooks), users: 0 };
      this.#sets.set(key, entry);
    }
    entry.users++;
    const { id, interventions, readings } = entry;
    const set: HookSet = { id, plan, interventions, readings };
    this.#keys.set(set, key);
    return set;
  }

  /** Takes back what `acquire` gave; twice is nothing. */
  release(set: HookSet): void {
    const key = this.#keys.get(set);
    if (key === undefined) return;
    this.#keys.delete(set);
    const entry = entryOf(this.#sets, key);
    if (--entry.users > 0) return;
    this.#sets.delete(key);
    if (entry.id !== 0) freeOn(() => this.#device.freeHooks(entry.id));
  }
}

/** What each projection reads: where, along what, behind how many of the interventions. By a digest: it outlives the set. */
function readingsOf(hooks: readonly DeviceHook[]): string[] {
  const readings: string[] = [];
  let n_before = 0;
  for (const hook of hooks) {
    if (hook.op !== "project") n_before++;
    else readings[hook.output] = `${hook.site} ${n_before} ${digestOf(hook.direction)}`;
  }
  return readings;
}

function digestOf(vector: Float32Array): string {
  const hash = new Sha256();
  hash.update(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength));
  return hash.hex();
}

/** A hook's whole content as text: numbers exactly, vectors by their bits. */
function contentKey(hook: DeviceHook): string {
  switch (hook.op) {
    case "clamp":
      return `clamp ${hook.site} ${hook.positions} ${hook.floor} ${hook.ceiling} ${bits(hook.direction)}`;
    case "shift":
      return `shift ${hook.site} ${hook.positions} ${bits(hook.delta)}`;
    case "remove":
      return `remove ${hook.site} ${hook.positions} ${bits(hook.direction)} ${hook.delta === null ? "" : bits(hook.delta)}`;
    case "project":
      return `project ${hook.site} ${hook.output} ${bits(hook.direction)}`;
    default:
      return hook satisfies never;
  }
}

function bits(vector: Float32Array): string {
  const words = new Uint16Array(vector.buffer, vector.byteOffset, vector.length * 2);
  let text = "";
  for (let start = 0; start < words.length; start += 4096) {
    text += String.fromCharCode(...words.subarray(start, start + 4096));
  }
  return text;
}
