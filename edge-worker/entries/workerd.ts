/** The app as a worker (workerd, Cloudflare). `deploy/wrangler.jsonc` shows its bindings. */
import "../../sdk/platform/workerd.ts";
import { CapstanError } from "../../models/index.ts";
import { load } from "../../sdk/inference/load.ts";
import { sha256 } from "../../sdk/platform/index.ts";
import type { FileInput } from "../../sdk/science/index.ts";
import type { FileSource, Model } from "../../sdk/types.ts";
import { createApp } from "../app.ts";
import type { PolicyInput } from "../policy/policy.ts";
import type { App } from "../routes/context.ts";
import type { FindPageFile } from "../routes/page.ts";
import { fileFinder } from "../service/served_model.ts";
import { assetFiles, assetPage, type Bucket, bucketFiles, type Fetcher } from "./bindings.ts";

/** What the worker is bound to. */
export interface WorkerEnv {
  /** The policy, as JSON or its text. Sources and files in it may be `r2:folder`, `assets:folder`, or URLs. */
  POLICY?: string | PolicyInput;
  /** Without a policy: the model, by such a source. */
  MODEL?: string;
  /** Without a policy: the key that is asked for (a secret). */
  API_KEY?: string;
  MODELS?: Bucket;
  ASSETS?: Fetcher;
  /** Where the page lies that `capstan page` wrote: `assets:folder`. Without it there is no page. */
  PAGE?: string;
}

/** A worker's entry. */
export interface Worker {
  fetch(request: Request, env: WorkerEnv, context: WorkerContext): Promise<Response>;
}

/** What a worker is given with each request. */
export interface WorkerContext {
  waitUntil(work: Promise<unknown>): void;
  passThroughOnException(): void;
  props: unknown;
}

/** A worker whose app is made by its first request: bindings are known no sooner. */
export function createWorker(): Worker {
  let app: Promise<App> | undefined;
  let made: App | undefined;
  return {
    async fetch(request, env, context) {
      if (made === undefined) {
        // Of hashes and JSON alone: no wait that would end with this request.
        app ??= appOf(env);
        made = await app;
      }
      return await made.fetch(request, env, context);
    },
  };
}

async function appOf(env: WorkerEnv): Promise<App> {
  const policy = await policyOf(env);
  const models: Record<string, () => Promise<Model>> = {};
  for (const [name, { source = name, dtype, n_ctx, max_queue }] of Object.entries(policy.models)) {
    const bound = boundFiles(env, source);
    if (bound === null) continue;
    const options = {
      dtype: dtype ?? "auto",
      ...(n_ctx === undefined ? {} : { n_ctx }),
      ...(max_queue === undefined ? {} : { max_queue }),
    };
    models[name] = () => load(bound, options);
  }
  return createApp({
    policy,
    models,
    files: (name) => findFile(env, name),
    ...(env.PAGE === undefined ? {} : { page: boundPage(env, env.PAGE) }),
    log: (entry) => console.log(JSON.stringify(entry)),
  });
}

async function policyOf({ POLICY, MODEL, API_KEY }: WorkerEnv): Promise<PolicyInput> {
  if (typeof POLICY === "string") return JSON.parse(POLICY) as PolicyInput;
  if (POLICY !== undefined) return POLICY;
  if (MODEL === undefined) {
    const parts = { action: "start the worker", need: "a variable POLICY or MODEL", found: "neither" };
    throw new CapstanError("bad_request", parts);
  }
  const name = MODEL.split("/").findLast((part) => part !== "") ?? MODEL;
  const keys = API_KEY === undefined ? {} : { keys: { env: { sha256: await sha256(API_KEY) } } };
  return { models: { [name]: { source: MODEL } }, ...keys };
}

function boundFiles({ MODELS, ASSETS }: WorkerEnv, source: string): FileSource | null {
  const [, scheme, folder = ""] = /^(r2|assets):(.*)$/.exec(source) ?? [];
  if (scheme === undefined) return null;
  const path = folder.replace(/^\/+|\/+$/g, "");
  if (scheme === "r2" && MODELS !== undefined) return bucketFiles(MODELS, path);
  if (scheme === "assets" && ASSETS !== undefined) return assetFiles(ASSETS, path);
  const binding = scheme === "r2" ? "MODELS (an R2 bucket)" : "ASSETS";
  throw new CapstanError("bad_request", {
    action: `use ${source}`,
    need: `the binding ${binding}`,
    found: "none",
  });
}

function boundPage({ ASSETS }: WorkerEnv, source: string): FindPageFile {
  const [, folder] = /^assets:\/*(.*?)\/*$/.exec(source) ?? [];
  if (folder !== undefined && ASSETS !== undefined) return assetPage(ASSETS, folder);
  const need = "PAGE as assets:FOLDER, and the binding ASSETS";
  const found = ASSETS === undefined ? "no such binding" : source;
  throw new CapstanError("bad_request", { action: "serve the page", need, found });
}

const fetchFile = fileFinder((path) => {
  const need = "r2:PATH, assets:PATH or a URL";
  throw new CapstanError("bad_request", { action: `read ${path}`, need, found: "a path" });
});

async function findFile(env: WorkerEnv, name: string): Promise<FileInput> {
  const at = name.lastIndexOf("/");
  const files = boundFiles(env, at < 0 ? name.replace(/:.*/, ":") : name.slice(0, at));
  return files === null
    ? await fetchFile(name)
    : { files, name: name.slice(at < 0 ? name.indexOf(":") + 1 : at + 1) };
}

export default createWorker();
