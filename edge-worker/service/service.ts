import { CapstanError } from "../../models/index.ts";
import { load } from "../../sdk/inference/load.ts";
import type { Model } from "../../sdk/types.ts";
import { draining } from "../errors.ts";
import { type ModelPolicy, type Policy, type PolicyInput, readPolicy } from "../policy/policy.ts";
import { ClientRates } from "../policy/rates.ts";
import { type GivenModel, isGivenModel, ModelHolder } from "./model_holder.ts";
import { type FindFile, fileFinder, readFiles, ServedModel } from "./served_model.ts";

/** What a service is made of. */
export interface ServiceOptions {
  /** What is served, to whom, under which caps. Default: each of `models` under its name, to everybody, uncapped. */
  policy?: PolicyInput;
  /** Models by the name they have in the policy, loaded or to be loaded. Default: `load` of each one's `source`. */
  models?: Readonly<Record<string, GivenModel>>;
  /** Finds the axis and cap files that the policy names. Default: paths from the current folder, and URLs. */
  files?: FindFile;
}

/** One policy with its models: what a request sees from its beginning to its end. */
export interface ServiceState {
  readonly policy: Policy;
  readonly models: ReadonlyMap<string, ServedModel>;
}

/** Models under a policy that may be replaced while requests run. */
export class Service {
  /** What each client is at, against its limits. */
  readonly rates: ClientRates = new ClientRates(() => performance.now());
  readonly #given: Readonly<Record<string, GivenModel>>;
  readonly #find: FindFile;
  readonly #first: Policy;
  /** By what the policy says of how it is loaded. */
  readonly #holders = new Map<string, ModelHolder>();
  #state: Promise<ServiceState> | null = null;
  #ready: ServiceState | null = null;
  #reloading: Promise<void> = Promise.resolve();
  #is_draining = false;

  /** @throws CapstanError `bad_file` for a policy that is none */
  constructor(options: ServiceOptions) {
    this.#given = checkGiven(options.models ?? {});
    this.#find = options.files ?? fileFinder((path) => path);
    const of_given = { models: Object.fromEntries(Object.keys(this.#given).map((name) => [name, {}])) };
    this.#first = readPolicy(options.policy ?? of_given, "the policy");
  }

  /** Whether it refuses new requests, for good. */
  get is_draining(): boolean {
    return this.#is_draining;
  }

  /** The policy that is served now, whether or not its models are there. */
  get policy(): Policy {
    return this.#ready?.policy ?? this.#first;
  }

  /** The state that is served now; null before the first. */
  get current(): ServiceState | null {
    return this.#ready;
  }

  /** The state for a new request. @throws ApiError 503 while it drains */
  async state(): Promise<ServiceState> {
    if (this.#is_draining) throw draining();
    if (this.#ready !== null) return this.#ready;
    this.#state ??= this.#make(this.#first).finally(() => {
      this.#state = null;
    });
    const state = await this.#state;
    this.#ready ??= state;
    return this.#ready;
  }

  /** Loads every model, so that the first request does not wait for it. */
  async load(): Promise<void> {
    const { models } = await this.state();
    for (const model of models.values()) await model.open();
  }

  /**
   * Serves another policy from the next request on; requests that run keep theirs. Nothing changes where it is refused.
   *
   * @throws CapstanError `bad_file`, `not_found`, and what `load` throws
   */
  async reload(policy: PolicyInput): Promise<void> {
    // One after the other: each goes by what the one before has left.
    const reload = this.#reloading.then(() => this.#replace(readPolicy(policy, "the policy")));
    this.#reloading = reload.catch(() => {});
    await reload;
  }

  async #replace(policy: Policy): Promise<void> {
    const known = new Set(this.#holders.values());
    try {
      const next = await this.#make(policy);
      for (const model of next.models.values()) await model.open();
      this.#ready = next;
      const kept = new Set([...next.models.values()].map(({ holder }) => holder));
      this.#retire((holder) => !kept.has(holder));
    } catch (error) {
      this.#retire((holder) => !known.has(holder));
      throw error;
    }
  }

  #retire(isGone: (holder: ModelHolder) => boolean): void {
    for (const [key, holder] of this.#holders) {
      if (!isGone(holder)) continue;
      this.#holders.delete(key);
      holder.retire();
    }
  }

  /** Refuses new requests, and ends once those that run have; `signal` ends them. */
  async drain(signal: AbortSignal): Promise<void> {
    this.#is_draining = true;
    await Promise.all([...this.#holders.values()].map((holder) => holder.drain(signal)));
  }

  /** Frees its models; requests that run end with an error. */
  async dispose(): Promise<void> {
    this.#is_draining = true;
    await Promise.all([...this.#holders.values()].map((holder) => holder.dispose()));
  }

  async #make(policy: Policy): Promise<ServiceState> {
    const models = new Map<string, ServedModel>();
    for (const [name, rules] of Object.entries(policy.models)) {
      const files = await readFiles(rules, this.#find);
      models.set(name, new ServedModel(name, rules, this.#holder(name, rules), files));
    }
    return { policy, models };
  }

  #holder(name: string, rules: ModelPolicy): ModelHolder {
    const { source = name, device, dtype, n_ctx, max_queue } = rules;
    const given = Object.hasOwn(this.#given, name) ? this.#given[name]! : undefined;
    const key =
      given === undefined ? JSON.stringify([source, device, dtype, n_ctx, max_queue]) : `given ${name}`;
    const known = this.#holders.get(key);
    if (known !== undefined) return known;
    const options = { device, dtype, max_queue, ...(n_ctx === undefined ? {} : { n_ctx }) };
    const made =
      given === undefined
        ? new ModelHolder(() => load(source, options))
        : new ModelHolder(() => openGiven(given), typeof given === "function" ? null : given);
    this.#holders.set(key, made);
    return made;
  }
}

async function openGiven(given: GivenModel): Promise<Model> {
  return typeof given === "function" ? await given() : given;
}

function checkGiven(models: Readonly<Record<string, unknown>>): Readonly<Record<string, GivenModel>> {
  for (const [name, given] of Object.entries(models)) {
    if (isGivenModel(given)) continue;
    const parts = {
      action: "make a service",
      need: `models.${name} as a model or a function that loads one`,
      found: typeof given,
    };
    throw new CapstanError("bad_request", parts);
  }
  return models as Readonly<Record<string, GivenModel>>;
}
