import { sha256 } from "../../sdk/platform/index.ts";
import { ApiError } from "../errors.ts";
import type { ClientPolicy, Policy } from "./policy.ts";

/** Who a request is from. */
export interface Client {
  /** The key's name in the policy; empty for requests without a key. */
  readonly name: string;
  /** Where its rules lie in the policy: `keys.name`, `anonymous`. */
  readonly rules_at: string;
  readonly rules: ClientPolicy;
}

const UNBOUND: ClientPolicy = { hooks: false };

/**
 * The client of an `Authorization` header. Its key is hashed, and compared with every key of the policy in constant time.
 *
 * @throws ApiError 401
 */
export async function identify(policy: Policy, header: string | undefined): Promise<Client> {
  const entries = Object.entries(policy.keys);
  const is_open = policy.anonymous !== false && (policy.anonymous !== undefined || entries.length === 0);
  const anonymous: Client = {
    name: "",
    rules_at: "anonymous",
    rules: policy.anonymous === false ? UNBOUND : (policy.anonymous ?? UNBOUND),
  };
  // Clients send a key of some kind even to servers that ask for none.
  if (entries.length === 0 && is_open) return anonymous;
  const key = /^Bearer +(\S+) *$/i.exec(header ?? "")?.[1];
  if (key === undefined) {
    if (is_open && header === undefined) return anonymous;
    throw unauthorized("An API key is needed: Authorization: Bearer KEY.");
  }
  const digest = await sha256(key);
  let found: Client | undefined;
  for (const [name, { sha256: wanted, ...rules }] of entries) {
    if (equalDigests(digest, wanted)) found = { name, rules_at: `keys.${name}`, rules };
  }
  if (found === undefined) throw unauthorized("The API key is not known.");
  return found;
}

/** Compares digests of equal length in a time that does not depend on where they differ. */
export function equalDigests(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i % b.length);
  return difference === 0;
}

function unauthorized(message: string): ApiError {
  return new ApiError(401, message, { code: "invalid_api_key" });
}
