import { z } from "zod";
import { itemAt } from "../../models/certain.ts";
import { CapstanError } from "../../models/index.ts";
import type { ModelPolicy, Policy, PolicyInput } from "./types.ts";

export type { ClientPolicy, DriftPolicy, ModelPolicy, Policy, PolicyInput } from "./types.ts";

/** The policy file: what is served, to whom, under which caps. `policy.schema.json` is made of this. */

const name = z.string().min(1).max(200);
const whole = (min: number) => z.int().min(min);

const CAP = z.strictObject({
  file: z.string().min(1).describe("A `.cap.safetensors` file. A path from the policy's folder, or a URL."),
  any_model: z
    .boolean()
    .default(false)
    .describe("Use it although it was made on a model of another digest (of the same shape)."),
});

const DRIFT = z.strictObject({
  threshold: z
    .number()
    .optional()
    .describe(
      "A turn whose mean projection is below counts. Default: percentile 25 of the collected responses.",
    ),
  turns: whole(1)
    .default(2)
    .describe("Assistant's turns below the threshold, one after the other, until the policy acts."),
  hysteresis: z
    .number()
    .min(0)
    .default(0)
    .describe("It ceases to act once a turn is above the threshold by as much, in the projection's units."),
  action: z
    .enum(["alert", "cap", "stop"])
    .default("alert")
    .describe(
      "`alert`: log, header, metric and webhook. `cap`: these, and `cap` acts from here on. `stop`: 403.",
    ),
  cap: name
    .optional()
    .describe("The cap of action `cap`, beside those that act anyway. Default: `default_cap`."),
  webhook: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe(
      "Posted a JSON object on each alert: model, key, request id, projections; no text of messages.",
    ),
});

const MODEL = z.strictObject({
  source: z
    .string()
    .min(1)
    .optional()
    .describe(
      "What `load` takes: an embedded model's name, a folder, a URL, a hub id. Default: the model's name here.",
    ),
  device: z.enum(["auto", "wasm", "webgpu"]).default("auto").describe("What runs it."),
  dtype: z
    .enum(["auto", "f32", "f16", "bf16", "q8", "q4"])
    .default("auto")
    .describe("How matrices are kept."),
  n_ctx: whole(1).optional().describe("Longest sequence in tokens. Default: the model's own."),
  max_queue: whole(0).default(64).describe("Requests that wait for a place; those beyond are answered 429."),
  axis: z.string().min(1).optional().describe("An `axis.safetensors` file: replies are projected on it."),
  caps: z.record(name, CAP).default({}).describe("Caps by the name that requests ask for."),
  default_cap: name.optional().describe("The cap of requests that name none. Default: none."),
  pinned: z
    .boolean()
    .default(false)
    .describe("No request changes the cap: not by another one, `false`, or hooks that intervene."),
  raw_prompts: z
    .boolean()
    .default(true)
    .describe(
      "Whether it serves `/v1/completions`, whose prompts have no turns, so that no drift is seen in them.",
    ),
  drift: DRIFT.optional().describe(
    "What happens when a conversation drifts from the Assistant. Needs `axis`.",
  ),
});

const CLIENT = {
  models: z.array(name).optional().describe("The models it may use. Default: all."),
  hooks: z.boolean().default(false).describe("Whether it may send hooks of its own (`capstan.hooks`)."),
  max_tokens: whole(1)
    .optional()
    .describe("Most tokens of each of its replies. Default: `limits.max_tokens`."),
  requests_per_minute: whole(1).optional().describe("Requests beyond are answered 429. Default: no bound."),
  max_running: whole(1)
    .optional()
    .describe("Its requests at one time; those beyond are answered 429. Default: no bound."),
};

const KEY = z.strictObject({
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .describe("SHA-256 of the key, in hex (`capstan policy key` makes a key and this)."),
  ...CLIENT,
});

const LIMITS = z.strictObject({
  max_body_bytes: whole(1)
    .default(1_048_576)
    .describe("Bytes of a request's body; larger ones are answered 413."),
  max_tokens: whole(1)
    .optional()
    .describe("Most tokens of a reply; requests for more are answered 403. Default: no bound."),
  max_n: whole(1)
    .default(8)
    .describe("Most replies to one request (`n`, times the prompts of `/v1/completions`)."),
  deadline_s: z
    .number()
    .positive()
    .max(86_400)
    .default(600)
    .describe("Seconds a request may take, waiting included."),
  drain_s: z
    .number()
    .positive()
    .max(86_400)
    .default(30)
    .describe("Seconds that running requests are given on SIGTERM."),
});

const SCHEMA: z.ZodType<Policy, PolicyInput> = z.strictObject({
  $schema: z.string().optional().describe("For editors: where the schema of the file lies. Not read."),
  models: z
    .record(name, MODEL)
    .refine((models) => Object.keys(models).length > 0, "at least one model is needed")
    .describe("Models by the name that clients ask for. The first answers requests that name none."),
  keys: z
    .record(name, KEY)
    .default({})
    .describe("API keys (`Authorization: Bearer`) by the name that logs have for them."),
  anonymous: z
    .union([z.literal(false), z.strictObject(CLIENT)])
    .optional()
    .describe(
      "What requests without a key may do; false refuses them. Default: false where there are keys, else all.",
    ),
  limits: LIMITS.prefault({}).describe("Bounds of each request."),
  cors: z
    .array(z.string().min(1))
    .default([])
    .describe("Origins whose pages may call the API. Default: none."),
  hosts: z
    .array(z.string().regex(/^[\w.-]+$|^\[[\da-f:.]+\]$/i, "a host name or address, without a port"))
    .min(1)
    .optional()
    .describe(
      "Hosts that requests may be for (`Host`); others are answered 403. Default: any, and where no key is asked for at a loopback address (`capstan serve`) loopback's own.",
    ),
  prefix_cache: z
    .enum(["shared", "by_key"])
    .default("shared")
    .describe(
      "Whose prompts a prompt's beginning may be taken from. `shared`: everybody's, so that a client can measure by time to first token (and reads in `usage`) whether a prefix was asked for before. `by_key`: those of the same key, by its name; requests without a key are one.",
    ),
  log_text: z.boolean().default(false).describe("Whether the log holds the text of requests and replies."),
});

/**
 * Checks a policy as a whole.
 *
 * @param where the file, as errors name it
 * @throws CapstanError `bad_file` that names the field, what it must be and what it is
 */
export function readPolicy(value: unknown, where: string): Policy {
  const { success, data, error } = SCHEMA.safeParse(value);
  if (!success) {
    const issue = itemAt(error.issues, 0);
    throw bad(where, `${fieldPath(issue.path)}: ${issue.message}`);
  }
  for (const [name, model] of Object.entries(data.models)) checkModel(where, `models.${name}`, model);
  for (const [name, { models = [] }] of Object.entries(data.keys)) {
    const unknown = models.find((model) => !Object.hasOwn(data.models, model));
    if (unknown !== undefined)
      throw bad(where, `keys.${name}.models: no model is named ${JSON.stringify(unknown)}`);
  }
  return data;
}

function checkModel(
  where: string,
  at: string,
  { caps, default_cap, pinned, drift, axis }: ModelPolicy,
): void {
  const check = (field: string, cap: string | undefined) => {
    if (cap !== undefined && !Object.hasOwn(caps, cap))
      throw bad(where, `${at}.${field}: no cap is named ${JSON.stringify(cap)} in ${at}.caps`);
  };
  check("default_cap", default_cap);
  check("drift.cap", drift?.cap);
  if (pinned && default_cap === undefined) throw bad(where, `${at}.pinned: a default_cap to pin is needed`);
  if (drift === undefined) return;
  if (axis === undefined) throw bad(where, `${at}.drift: an axis is needed to see drift`);
  if (drift.action === "cap" && (drift.cap ?? default_cap) === undefined)
    throw bad(where, `${at}.drift.cap: the cap of action "cap" is needed`);
}

function bad(where: string, found: string): CapstanError {
  return new CapstanError("bad_file", {
    action: `read ${where}`,
    need: "a policy that is whole and consistent",
    found,
  });
}

/** `models.tiny.caps[0]` */
export function fieldPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (before, part) =>
      typeof part === "number"
        ? `${before}[${part}]`
        : before === ""
          ? String(part)
          : `${before}.${String(part)}`,
    "",
  );
}

/** The policy's JSON schema, for editors and other programs. */
export function policySchema(): Record<string, unknown> {
  const made = z.toJSONSchema(SCHEMA, { target: "draft-2020-12", io: "input" });
  return { $schema: made.$schema, $id: "urn:capstan:policy", title: "Policy", ...made };
}
