/**
 * The app as a default export: `deno serve -A edge-worker/entries/deno.ts`, Deno Deploy. `CAPSTAN_POLICY` names a policy
 * file; without it `CAPSTAN_MODEL` a model (default: the embedded one) and `CAPSTAN_API_KEY` a key.
 */
import { dirname, env, resolvePath, write } from "../../sdk/platform/index.ts";
import { createApp } from "../app.ts";
import { pageFiles } from "../cli/page_files.ts";
import { policyOfModel, readPolicyFile } from "../cli/policy_file.ts";
import type { App } from "../routes/context.ts";
import { fileFinder } from "../service/served_model.ts";

async function appOf(): Promise<App> {
  const file = env("CAPSTAN_POLICY");
  const folder = file === undefined ? "." : dirname(resolvePath(file));
  return createApp({
    policy:
      file === undefined
        ? await policyOfModel({ model: env("CAPSTAN_MODEL") ?? "capstan-tiny" })
        : await readPolicyFile(file),
    files: fileFinder((path) => resolvePath(folder, path)),
    page: pageFiles(),
    log: (entry) => void write("stderr", `${JSON.stringify(entry)}\n`).catch(() => {}),
  });
}

const app: Promise<App> = appOf();

const entry: { fetch(request: Request): Promise<Response> } = {
  fetch: async (request) => await (await app).fetch(request),
};

export default entry;
