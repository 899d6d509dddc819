import { CapstanError } from "../../models/index.ts";
import { EMBEDDED } from "../../sdk/checkpoint/source/index.ts";
import {
  dirname,
  env,
  fileKind,
  listFolder,
  packageFile,
  readText,
  resolvePath,
  sha256,
} from "../../sdk/platform/index.ts";
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

/**
 * The policy of one model, and of the key that `CAPSTAN_API_KEY` holds. Where neither an axis nor a cap is named, those that
 * lie in the model's folder (`axis.safetensors`, `*.cap.safetensors`) may be asked for; none acts by itself.
 */
export async function policyOfModel(options: ModelChoice): Promise<PolicyInput> {
  const { model, device = "auto", dtype = "auto", n_ctx, axis, cap, pinned = false, hosts } = options;
  const key = env("CAPSTAN_API_KEY");
  const own = axis === undefined && cap === undefined ? await filesOf(model) : {};
  return {
    models: {
      [nameOf(model)]: {
        source: model,
        device,
        dtype,
        pinned,
        ...(n_ctx === undefined ? {} : { n_ctx }),
        ...own,
        ...(axis === undefined ? {} : { axis }),
        ...(cap === undefined ? {} : { caps: { cap: { file: cap } }, default_cap: "cap" }),
      },
    },
    ...(hosts === undefined ? {} : { hosts }),
    ...(key === undefined ? {} : { keys: { env: { sha256: await sha256(key) } } }),
  };
}

/** The axis and caps in a model's folder, where it is one. */
async function filesOf(model: string): Promise<Pick<PolicyInput["models"][string], "axis" | "caps">> {
  const folder = EMBEDDED.includes(model) ? packageFile(`models/${model}`) : model;
  if (/^[a-z]+:\/\//.test(folder) || (await fileKind(folder)) !== "folder") return {};
  const names = await listFolder(folder);
  if (!names.includes(AXIS_NAME)) return {};
  const caps = names.filter((name) => name.endsWith(CAP_ENDING));
  return {
    axis: resolvePath(folder, AXIS_NAME),
    caps: Object.fromEntries(
      caps.map((name) => [name.slice(0, -CAP_ENDING.length), { file: resolvePath(folder, name) }]),
    ),
  };
}

const AXIS_NAME = "axis.safetensors";
const CAP_ENDING = ".cap.safetensors";

/** What clients call a model: a hub id as it is; of a path or URL its last part, for the rest is the server's. */
function nameOf(source: string): string {
  if (/^[\w-][\w.-]*\/[\w.-]+(@[\w.-]+)?$/.test(source)) return source;
  const [path = source] = source.split(/[?#]/);
  return path.split(/[\\/]/).findLast((part) => part !== "") ?? source;
}
