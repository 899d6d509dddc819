import { CapstanError } from "../../models/index.ts";
import { dirname, env, readText, resolvePath, sha256 } from "../../sdk/platform/index.ts";
import type { LoadOptions } from "../../sdk/types.ts";
import type { PolicyInput } from "../policy/policy.ts";

/** What is served without a policy file. */
export interface ModelChoice extends Pick<LoadOptions, "device" | "dtype" | "n_ctx"> {
  model: string;
  /** Paths or URLs of their files. */
  axis?: string;
  cap?: string;
  pinned?: boolean;
  hosts?: string[];
}

/** A policy file's JSON; paths of models in it are from its folder. @throws CapstanError `not_found`, `bad_file` */
export async function readPolicyFile(file: string): Promise<PolicyInput> {
  const text = await readText(file);
  let policy: PolicyInput;
  try {
    policy = JSON.parse(text) as PolicyInput;
  } catch (cause) {
    const found = (cause as Error).message;
    throw new CapstanError("bad_file", { action: `read ${file}`, need: "JSON", found }, { cause });
  }
  const folder = dirname(resolvePath(file));
  for (const model of Object.values(policy?.models ?? {})) {
    if (typeof model?.source === "string" && /^\.\.?(\/|$)/.test(model.source))
      model.source = resolvePath(folder, model.source);
  }
  return policy;
}

/** The policy of one model, and of the key that `CAPSTAN_API_KEY` holds. */
export async function policyOfModel(options: ModelChoice): Promise<PolicyInput> {
  const { model, device = "auto", dtype = "auto", n_ctx, axis, cap, pinned = false, hosts } = options;
  const key = env("CAPSTAN_API_KEY");
  return {
    models: {
      [nameOf(model)]: {
        source: model,
        device,
        dtype,
        pinned,
        ...(n_ctx === undefined ? {} : { n_ctx }),
        ...(axis === undefined ? {} : { axis }),
        ...(cap === undefined ? {} : { caps: { cap: { file: cap } }, default_cap: "cap" }),
      },
    },
    ...(hosts === undefined ? {} : { hosts }),
    ...(key === undefined ? {} : { keys: { env: { sha256: await sha256(key) } } }),
  };
}

/** What clients call a model: a hub id as it is; of a path or URL its last part, for the rest is the server's. */
function nameOf(source: string): string {
  if (/^[\w-][\w.-]*\/[\w.-]+(@[\w.-]+)?$/.test(source)) return source;
  const [path = source] = source.split(/[?#]/);
  return path.split(/[\\/]/).findLast((part) => part !== "") ?? source;
}
