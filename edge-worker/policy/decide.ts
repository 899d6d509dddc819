import { entryOf } from "../../models/certain.ts";
import type { Hook } from "../../models/index.ts";
import type { Caps } from "../../sdk/science/index.ts";
import { badRequest, violation } from "../errors.ts";
import type { ServedModel } from "../service/served_model.ts";
import type { CapstanRequest } from "../wire/capstan.ts";
import type { Client } from "./keys.ts";
import type { Policy } from "./policy.ts";
import { OWN_NAMES } from "./readings.ts";

/** What a request is given after the policy has had its say. */
export interface Decision {
  /** The name of the cap that acts; null for none. */
  readonly cap: string | null;
  readonly caps: readonly Caps[];
  /** The client's hooks. */
  readonly hooks: readonly Hook[];
}

/**
 * Which cap acts on a request, and which of its hooks.
 *
 * @throws ApiError 403 with the rule that forbids it; 400 for a cap that there is not
 */
export function decide(served: ServedModel, client: Client, request: CapstanRequest | undefined): Decision {
  const hooks = decideHooks(served, client, request);
  const cap = decideCap(served, request);
  if (cap === null) return { cap, caps: [], hooks };
  return { cap, caps: [entryOf(served.caps, cap)], hooks };
}

function decideCap({ name, rules, caps }: ServedModel, request: CapstanRequest | undefined): string | null {
  const fallback = rules.default_cap ?? null;
  const asked = request?.cap ?? null;
  if (asked === null) return fallback;
  const chosen = asked === false ? null : asked;
  if (rules.pinned && chosen !== fallback) {
    const message = `The cap ${JSON.stringify(fallback)} of this model is pinned.`;
    throw violation(message, `models.${name}.pinned`, "capstan.cap");
  }
  if (chosen !== null && !caps.has(chosen)) {
    const known = [...caps.keys()].join(", ") || "none";
    throw badRequest(
      `The model has no cap ${JSON.stringify(chosen)}; known are: ${known}.`,
      "capstan.cap",
      "cap_not_found",
    );
  }
  return chosen;
}

function decideHooks(
  { name, rules }: ServedModel,
  client: Client,
  request: CapstanRequest | undefined,
): readonly Hook[] {
  const hooks = request?.hooks ?? [];
  if (hooks.length === 0) return [];
  if (!client.rules.hooks) {
    throw violation("This client may not send hooks.", `${client.rules_at}.hooks`, "capstan.hooks");
  }
  const acting = hooks.findIndex(({ kind }) => kind !== "project");
  if (rules.pinned && acting >= 0) {
    // Even a further cap: a ceiling in a later layer takes away what a floor has added.
    const message = "The cap of this model is pinned, so that hooks may read and not intervene.";
    throw violation(message, `models.${name}.pinned`, `capstan.hooks[${acting}]`);
  }
  const taken = hooks.findIndex((hook) => "name" in hook && hook.name?.startsWith(OWN_NAMES));
  if (taken >= 0) {
    throw badRequest(`A hook's name must not begin with "${OWN_NAMES}".`, `capstan.hooks[${taken}].name`);
  }
  return hooks;
}

/** The longest reply that a request may ask for; undefined where it is not bounded. */
export function mostTokens(
  policy: Policy,
  client: Client,
  asked: number | undefined,
  param: string,
): number | undefined {
  const of_client = client.rules.max_tokens;
  const most = of_client ?? policy.limits.max_tokens;
  if (most === undefined || asked === undefined || asked <= most) return asked ?? most;
  const rule = of_client === undefined ? "limits.max_tokens" : `${client.rules_at}.max_tokens`;
  throw violation(`Replies of at most ${most} tokens are allowed, ${asked} were asked for.`, rule, param);
}

/** @throws ApiError 403 where the client may not use the model */
export function checkModelAllowed({ rules, rules_at }: Client, model: string): void {
  if (rules.models === undefined || rules.models.includes(model)) return;
  throw violation("This client may not use this model.", `${rules_at}.models`, "model");
}
