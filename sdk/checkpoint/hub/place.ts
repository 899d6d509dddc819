import { CapstanError, show } from "../../../models/index.ts";
import { env, homeFolder, joinPath, readText } from "../../platform/index.ts";
import { checkToken } from "../source/secrets.ts";

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

/** @throws CapstanError `bad_request` for an endpoint that is no URL, `access_denied` for a token that cannot be one */
export async function hubPlace(): Promise<HubPlace> {
  const home =
    env("HF_HOME") ?? joinPath(env("XDG_CACHE_HOME") ?? joinPath(homeFolder(), ".cache"), "huggingface");
  return {
    endpoint: readEndpoint(env("HF_ENDPOINT") ?? HUB),
    cache: atHome(env("HF_HUB_CACHE") ?? env("HUGGINGFACE_HUB_CACHE") ?? joinPath(home, "hub")),
    token: isTrue(env("HF_HUB_DISABLE_IMPLICIT_TOKEN")) ? undefined : await findToken(atHome(home)),
    offline: isTrue(env("HF_HUB_OFFLINE") ?? env("TRANSFORMERS_OFFLINE")),
  };
}

/** The token of the environment, or the one that `hf auth login` kept. */
async function findToken(home: string): Promise<string | undefined> {
  for (const name of ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]) {
    const given = env(name);
    if (given !== undefined) return checkToken(given.trim(), name) || undefined;
  }
  const path = env("HF_TOKEN_PATH") ?? joinPath(home, "token");
  const kept = await readText(path).catch(() => "");
  return checkToken(kept.trim(), path) || undefined;
}

function readEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "") {
    return text.replace(/\/+$/, "");
  }
  throw new CapstanError("bad_request", {
    action: "find the hub",
    need: "HF_ENDPOINT as a URL of http or https, without a password in it",
    found: url === undefined ? show(text) : `one of ${url.protocol}//${url.host}`,
  });
}

function atHome(path: string): string {
  return path === "~" || path.startsWith("~/") ? joinPath(homeFolder(), path.slice(1)) : path;
}

function isTrue(value: string | undefined): boolean {
  return ["1", "ON", "YES", "TRUE"].includes((value ?? "").toUpperCase());
}
