import type { DeviceHook, DeviceModel, HookPlan, HookSetId } from "../../models/index.ts";
import { freeOn } from "./free.ts";

/** A set of hooks on the device, and the number that stands for what it does to keys and values. */
export interface HookSet {
  readonly id: HookSetId;
  readonly plan: HookPlan;
  /** Equal for sets whose interventions are equal, whatever they read: the prefix cache's key. */
  readonly interventions: number;
}

interface Entry extends HookSet {
  key: string;
  users: number;
}

/** Sets kept on the device after their last user, for the next call with the same hooks. */
const KEPT = 32;

/**
 * Uploads each distinct set of hooks once. Sets are compared by content: the caller's arrays may be new in
 * every call, or changed between calls.
 */
export class HookSets {
  readonly #device: DeviceModel;
  readonly #sets = new Map<string, Entry>();
  readonly #interventions = new Map<string, number>([["", 0]]);

  constructor(device: DeviceModel) {
    this.#device = device;
  }

  acquire(plan: HookPlan): HookSet {
    const key = plan.hooks.map(contentKey).join(";");
    let entry = this.#sets.get(key);
    if (entry === undefined) {
      const acting = plan.hooks.filter((hook) => hook.op !== "project").map(contentKey);
      const id = plan.hooks.length === 0 ? 0 : this.#device.addHooks(plan.hooks);
      entry = { id, plan, interventions: this.#number(acting.join(";")), key, users: 0 };
    }
    entry.users++;
    this.#sets.delete(key);
    this.#sets.set(key, entry);
    return { id: entry.id, plan, interventions: entry.interventions };
  }

  release(set: HookSet): void {
    for (const entry of this.#sets.values()) {
      if (entry.id === set.id) entry.users--;
    }
    const unused = [...this.#sets.values()].filter((entry) => entry.users === 0 && entry.id !== 0);
    for (const entry of unused.slice(0, Math.max(0, unused.length - KEPT))) {
      this.#sets.delete(entry.key);
      freeOn(() => this.#device.freeHooks(entry.id));
    }
  }

  #number(key: string): number {
    let number = this.#interventions.get(key);
    if (number === undefined) {
      number = this.#interventions.size;
      this.#interventions.set(key, number);
    }
    return number;
  }
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
