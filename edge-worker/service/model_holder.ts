import { CapstanError } from "../../models/index.ts";
import { io_bound_to_request } from "../../sdk/platform/event_loop.ts";
import type { Model } from "../../sdk/types.ts";

/**
 * A model that is loaded when it is first asked for, and counts its users: one that the policy no longer names is disposed
 * of after the last of them.
 */
export class ModelHolder {
  readonly #load: () => Promise<Model>;
  #loading: Promise<Model> | null = null;
  #model: Model | null = null;
  #n_users = 0;
  #is_retired = false;

  /** @param model one that is loaded already */
  constructor(load: () => Promise<Model>, model: Model | null = null) {
    this.#load = load;
    this.#model = model;
  }

  /** The model, once it is loaded. */
  get loaded(): Model | null {
    return this.#model;
  }

  /** Loads it where that has not been done; a load that failed is tried again by the next caller. */
  async open(): Promise<Model> {
    if (this.#model !== null) return this.#model;
    const is_others = this.#loading !== null;
    this.#loading ??= this.#begin();
    if (is_others && io_bound_to_request) await this.#poll();
    return await this.#loading;
  }

  /** In workerd the wait for another request's load would never end, but a timer of one's own does. */
  async #poll(): Promise<void> {
    while (this.#model === null && this.#loading !== null) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    // The load has failed in its own request: the caller tries again.
    if (this.#model === null) this.#loading ??= this.#begin();
    else this.#loading = Promise.resolve(this.#model);
  }

  async #begin(): Promise<Model> {
    try {
      this.#model = await this.#load();
      return this.#model;
    } finally {
      this.#loading = null;
    }
  }

  /** The next caller loads it again: its device is lost. */
  discard(model: Model): void {
    if (this.#model !== model) return;
    this.#model = null;
    model.dispose().catch(() => {});
  }

  /** Counts a user in. @returns a function that counts it out */
  use(): () => void {
    this.#n_users++;
    let has_left = false;
    return () => {
      if (has_left) return;
      has_left = true;
      this.#n_users--;
      if (this.#is_retired && this.#n_users === 0) this.#dispose();
    };
  }

  /** No policy names it any more. */
  retire(): void {
    this.#is_retired = true;
    if (this.#n_users === 0) this.#dispose();
  }

  #dispose(): void {
    const model = this.#model;
    this.#model = null;
    model?.dispose().catch(() => {});
  }

  /** Takes nothing new; ends once what runs has. */
  async drain(signal: AbortSignal): Promise<void> {
    await this.#model?.drain({ signal });
  }

  async dispose(): Promise<void> {
    const model = this.#model ?? (await this.#loading?.catch(() => null)) ?? null;
    this.#model = null;
    await model?.dispose();
  }
}

/** A model as an application gives it, and what the policy's `source` stands for otherwise. */
export type GivenModel = Model | (() => Promise<Model>);

export function isGivenModel(given: unknown): given is GivenModel {
  if (typeof given === "function") return true;
  return typeof given === "object" && given !== null && "spec" in given && "forward" in given;
}

export function notLoaded(name: string, cause: unknown): CapstanError {
  return new CapstanError(
    "device_lost",
    {
      action: `load the model ${name}`,
      need: "it to load",
      found: cause instanceof Error ? cause.message : "a failure",
    },
    { cause },
  );
}
