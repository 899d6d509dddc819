import { CapstanError, show } from "../../../models/index.ts";
import * as rules from "../../common/options.ts";
import { type Rules, readOptions } from "../../common/options.ts";
import { eachOf } from "../../common/pool.ts";
import { exists, fileSize, joinPath } from "../../platform/index.ts";
import type { PullOptions, PullResult } from "../../types.ts";
import { HttpClient } from "../source/http.ts";
import { withoutSecret } from "../source/secrets.ts";
import { explainStatus, HubApi, type HubFile } from "./api.ts";
import { fetchBlob } from "./blob.ts";
import { ModelCache } from "./cache.ts";
import { type HubId, MODEL_FILES, matches, readHubId } from "./names.ts";
import { HUB, type HubPlace, hubPlace } from "./place.ts";

const OPTIONS: Rules<PullOptions> = {
  include: rules.texts,
  signal: rules.signal,
  on_progress: rules.callback,
};

/** Files fetched at once. */
const AT_ONCE = 4;

/** `pull` of `index.ts`. */
export async function pull(name: string, given: PullOptions = {}): Promise<PullResult> {
  const options = readOptions("pull", given, OPTIONS);
  const hub_id = readHubId(name);
  const place = await hubPlace();
  if (place.offline) throw offline(`pull ${name}`);
  const { signal } = options;
  const client = new HttpClient({
    ...(signal === undefined ? {} : { signal }),
    explain: (response, url) => explainStatus(response, url, hub_id, place),
    headers: {
      "user-agent": "capstan",
      ...(place.token === undefined ? {} : { authorization: `Bearer ${place.token}` }),
    },
  });
  try {
    return await new Pull(client, place, hub_id, options).run();
  } catch (error) {
    throw withoutSecret(error, place.token);
  }
}

/** One call of `pull`. */
class Pull {
  readonly #client: HttpClient;
  readonly #api: HubApi;
  readonly #cache: ModelCache;
  readonly #hub_id: HubId;
  readonly #options: PullOptions;

  constructor(client: HttpClient, place: HubPlace, hub_id: HubId, options: PullOptions) {
    this.#client = client;
    this.#api = new HubApi(client, place);
    this.#cache = new ModelCache(place.cache, hub_id);
    this.#hub_id = hub_id;
    this.#options = options;
  }

  async run(): Promise<PullResult> {
    const { id, revision } = this.#hub_id;
    const now = await this.#api.resolve(this.#hub_id);
    const all = await this.#api.files({ id: now.id, revision }, now.commit);
    const files = choose(all, this.#options.include ?? MODEL_FILES, id);
    const fetched = await this.#fetch(files, now);
    // Last, so that a revision never names a commit whose files are not here.
    await this.#cache.setRef(revision, now.commit);
    return {
      id,
      ...(now.id === id ? {} : { renamed_to: now.id }),
      revision,
      commit: now.commit,
      folder: this.#cache.snapshot(now.commit),
      files: files.map(({ path }) => path),
      bytes: files.reduce((sum, { size }) => sum + size, 0),
      fetched_bytes: fetched,
    };
  }

  /** Fetches what is missing and links it; the bytes that came over the network. */
  async #fetch(files: readonly HubFile[], { id, commit }: { id: string; commit: string }): Promise<number> {
    const total = files.reduce((sum, { size }) => sum + size, 0);
    let done = 0;
    let fetched = 0;
    const one = async (file: HubFile, signal: AbortSignal) => {
      let here: number | undefined;
      await fetchBlob(
        this.#client.under(signal),
        this.#api.fileUrl(id, commit, file.path),
        file,
        this.#cache,
        signal,
        (now) => {
          // The first report tells what was here already.
          if (here !== undefined) fetched += Math.max(0, now - here);
          done += now - (here ?? 0);
          here = now;
          this.#options.on_progress?.({ done, total, file: file.path });
        },
      );
      await this.#cache.link(commit, file.path, file.digest);
    };
    const { signal } = this.#options;
    await eachOf(files, one, { concurrency: AT_ONCE, action: `pull ${this.#hub_id.id}`, signal });
    return fetched;
  }
}

function choose(all: readonly HubFile[], include: readonly string[], id: string): HubFile[] {
  const files = all.filter(({ path }) => matches(path, include));
  if (files.length > 0) return files;
  throw new CapstanError("not_found", {
    action: `pull ${id}`,
    need: `files that fit ${include.join(" or ")}`,
    found: `${all.length} others`,
    fix: "Give other patterns with include.",
  });
}

function offline(action: string): CapstanError {
  const fix = "Unset it, or load what the cache has.";
  return new CapstanError("network", { action, need: "the hub", found: "HF_HUB_OFFLINE", fix });
}

/** Where a model's files are for a runtime without files of its own: the hub itself. */
export function hubUrl({ id, revision }: HubId): string {
  return `${HUB}/${id}/resolve/${encodeURIComponent(revision)}/`;
}

/**
 * The folder of a hub model's files: the hub's newest where it answers, else what the cache has.
 *
 * @throws CapstanError as `pull`; `not_found` where neither has it
 */
export async function hubFolder(hub_id: HubId, options: PullOptions = {}): Promise<string> {
  const place = await hubPlace();
  const cache = new ModelCache(place.cache, hub_id);
  const name = `${hub_id.id}@${hub_id.revision}`;
  let refused: unknown;
  if (!place.offline) {
    try {
      return (await pull(name, options)).folder;
    } catch (error) {
      // A hub that cannot be reached is no reason to refuse what is here.
      if (!(error instanceof CapstanError && error.code === "network")) throw error;
      refused = error;
    }
  }
  const cached = await cache.find(hub_id.revision);
  if (cached !== undefined && (await exists(joinPath(cached.folder, "config.json")))) return cached.folder;
  if (refused !== undefined) throw refused;
  throw new CapstanError("not_found", {
    action: `load ${hub_id.id}`,
    need: `${hub_id.revision} of it in ${place.cache}, for HF_HUB_OFFLINE is set`,
    found:
      (await fileSize(joinPath(cache.folder, "refs", hub_id.revision))) === undefined ? "nothing" : "a part",
    fix: `Run capstan pull ${show(hub_id.id)} while online.`,
  });
}
