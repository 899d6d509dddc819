import { env, homeFolder, joinPath, readText } from "../platform/index.ts";

/** Where the hub is, where its cache lies, and who asks: as Python's huggingface_hub reads the environment. */
export interface HubPlace {
  /** Without a slash at its end. */
  endpoint: string;
  /** Folder of `models--owner--name` folders. */
  cache: string;
  token: string | undefined;
  /** No request may be made. */
  offline: boolean;
}

/** The hub, unless HF_ENDPOINT names another. */
export const HUB = "https://huggingface.co";

export async function hubPlace(): Promise<HubPlace> {
  const home =
    env("HF_HOME") ?? joinPath(env("XDG_CACHE_HOME") ?? joinPath(homeFolder(), ".cache"), "huggingface");
  return {
    endpoint: (env("HF_ENDPOINT") ?? HUB).replace(/\/+$/, ""),
    cache: atHome(env("HF_HUB_CACHE") ?? env("HUGGINGFACE_HUB_CACHE") ?? joinPath(home, "hub")),
    token: isTrue(env("HF_HUB_DISABLE_IMPLICIT_TOKEN")) ? undefined : await findToken(atHome(home)),
    offline: isTrue(env("HF_HUB_OFFLINE") ?? env("TRANSFORMERS_OFFLINE")),
  };
}

/** The token of the environment, or the one that `hf auth login` kept. */
async function findToken(home: string): Promise<string | undefined> {
  const given = env("HF_TOKEN") ?? env("HUGGING_FACE_HUB_TOKEN");
  const kept = () => readText(env("HF_TOKEN_PATH") ?? joinPath(home, "token")).catch(() => "");
  return (given ?? (await kept())).trim() || undefined;
}

function atHome(path: string): string {
  return path === "~" || path.startsWith("~/") ? joinPath(homeFolder(), path.slice(1)) : path;
}

function isTrue(value: string | undefined): boolean {
  return ["1", "ON", "YES", "TRUE"].includes((value ?? "").toUpperCase());
}
