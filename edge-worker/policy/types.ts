/** The policy's types: as its file has it, and checked, with every default filled in. `policy.ts` says what each field is. */

/** A cap that a model has. */
export interface CapPolicy {
  /** A `.cap.safetensors` file. */
  file: string;
  /** Use it although it was made on a model of another digest. */
  any_model: boolean;
}

/** What happens when a conversation drifts. */
export interface DriftPolicy {
  threshold?: number | undefined;
  turns: number;
  hysteresis: number;
  action: "alert" | "cap" | "stop";
  cap?: string | undefined;
  webhook?: string | undefined;
}

/** A model, and the caps that it is served under. */
export interface ModelPolicy {
  source?: string | undefined;
  device: "auto" | "wasm" | "webgpu";
  dtype: "auto" | "f32" | "f16" | "bf16" | "q8" | "q4";
  n_ctx?: number | undefined;
  max_queue: number;
  axis?: string | undefined;
  caps: Record<string, CapPolicy>;
  default_cap?: string | undefined;
  /** No request changes the cap. */
  pinned: boolean;
  /** Whether it serves prompts without a chat template. */
  raw_prompts: boolean;
  drift?: DriftPolicy | undefined;
}

/** What a client may do. */
export interface ClientPolicy {
  models?: string[] | undefined;
  hooks: boolean;
  max_tokens?: number | undefined;
  requests_per_minute?: number | undefined;
  max_running?: number | undefined;
}

/** A checked policy. */
export interface Policy {
  $schema?: string | undefined;
  models: Record<string, ModelPolicy>;
  keys: Record<string, ClientPolicy & { sha256: string }>;
  anonymous?: false | ClientPolicy | undefined;
  limits: {
    max_body_bytes: number;
    max_tokens?: number | undefined;
    max_n: number;
    deadline_s: number;
    drain_s: number;
  };
  cors: string[];
  hosts?: string[] | undefined;
  prefix_cache: "shared" | "by_key";
  log_text: boolean;
}

/** Fields that may be left out, for they have defaults. */
type Given<T, Defaulted extends keyof T> = Omit<T, Defaulted> & { [Name in Defaulted]?: T[Name] | undefined };

/** A policy as its file has it. `policy.schema.json` says what each field is, and its default. */
export interface PolicyInput {
  $schema?: string | undefined;
  models: Record<
    string,
    Given<
      Omit<ModelPolicy, "caps" | "drift">,
      "device" | "dtype" | "max_queue" | "pinned" | "raw_prompts"
    > & {
      caps?: Record<string, Given<CapPolicy, "any_model">> | undefined;
      drift?: Given<DriftPolicy, "turns" | "hysteresis" | "action"> | undefined;
    }
  >;
  keys?: Record<string, Given<ClientPolicy, "hooks"> & { sha256: string }> | undefined;
  anonymous?: false | Given<ClientPolicy, "hooks"> | undefined;
  limits?: Given<Policy["limits"], keyof Policy["limits"]> | undefined;
  cors?: string[] | undefined;
  hosts?: string[] | undefined;
  prefix_cache?: Policy["prefix_cache"] | undefined;
  log_text?: boolean | undefined;
}
