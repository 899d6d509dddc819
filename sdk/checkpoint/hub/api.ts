import { CapstanError, isObject, show } from "../../../models/index.ts";
import { isPlainName } from "../source/folder.ts";
import type { HttpClient } from "../source/http.ts";
import { statusError } from "../source/http_answers.ts";
import { type HubId, isCommit } from "./names.ts";
import type { HubPlace } from "./place.ts";

/** A file of a repository. */
export interface HubFile {
  path: string;
  size: number;
  /** The name of its blob in the cache: sha256 of a large file, git's sha1 of a small one. */
  digest: string;
  algorithm: "sha256" | "git-sha1";
}

/** Pages of a listing, a thousand files each: more than any model has. */
const MOST_PAGES = 1000;

/** The hub's protocol, as far as reading a model needs it. */
export class HubApi {
  readonly #client: HttpClient;
  readonly #place: HubPlace;

  constructor(client: HttpClient, place: HubPlace) {
    this.#client = client;
    this.#place = place;
  }

  /**
   * The commit that a revision stands for, and the name the model goes by today.
   *
   * @throws CapstanError `not_found`, `access_denied`, `network`, `bad_file`, `aborted`
   */
  async resolve(hub_id: HubId): Promise<{ id: string; commit: string }> {
    const { id, revision } = hub_id;
    const url = `${this.#place.endpoint}/api/models/${id}/revision/${encodeURIComponent(revision)}`;
    const { json } = await this.#json(url, hub_id);
    const { sha, id: now } = isObject(json) ? json : {};
    if (typeof sha !== "string" || !isCommit(sha)) throw unexpected(url, "a commit", sha);
    return { id: typeof now === "string" && /^[\w.-]+(\/[\w.-]+)?$/.test(now) ? now : id, commit: sha };
  }

  /** Every file of a commit. */
  async files(hub_id: HubId, commit: string): Promise<HubFile[]> {
    const files: HubFile[] = [];
    const { endpoint } = this.#place;
    let next: string | null =
      `${endpoint}/api/models/${hub_id.id}/tree/${commit}?recursive=true&expand=false`;
    for (let page = 0; next !== null && page < MOST_PAGES; page++) {
      const url: string = next;
      const { json, link } = await this.#json(url, hub_id);
      if (!Array.isArray(json)) throw unexpected(url, "a list of files", json);
      for (const entry of json)
        if (!isObject(entry) || entry.type === "file") files.push(readFile(url, entry));
      next = nextPage(link, url);
    }
    return files;
  }

  /** Where a file's bytes are. */
  fileUrl(id: string, commit: string, path: string): string {
    return `${this.#place.endpoint}/${id}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;
  }

  async #json(url: string, hub_id: HubId): Promise<{ json: unknown; link: string | null }> {
    const { response, text } = await this.#client.text(url);
    if (!response.ok) throw explainStatus(response, url, hub_id, this.#place);
    try {
      return { json: JSON.parse(text), link: response.headers.get("link") };
    } catch {
      throw unexpected(url, "JSON", text);
    }
  }
}

/** Paths become names on the disk and digests names of blobs: neither may be what it should not. */
function readFile(url: string, entry: unknown): HubFile {
  const { path, size, oid, lfs } = isObject(entry) ? entry : {};
  const large = isObject(lfs) ? lfs : undefined;
  const bytes = large?.size ?? size;
  const digest = large?.oid ?? oid;
  const is_digest =
    typeof digest === "string" && (large === undefined ? /^[0-9a-f]{40}$/ : /^[0-9a-f]{64}$/).test(digest);
  if (
    typeof path === "string" &&
    isPlainName(path) &&
    Number.isSafeInteger(bytes) &&
    (bytes as number) >= 0 &&
    is_digest
  ) {
    return { path, size: bytes as number, digest, algorithm: large === undefined ? "git-sha1" : "sha256" };
  }
  throw unexpected(url, "files with path, size and digest", entry);
}

/** The next page by `Link: <url>; rel="next"`. One on another host would be shown our token. */
function nextPage(link: string | null, from: string): string | null {
  const target = /<([^>]+)>\s*;[^,]*\brel="?next"?/.exec(link ?? "")?.[1];
  if (target === undefined) return null;
  const url = new URL(target, from);
  if (url.origin === new URL(from).origin) return url.href;
  throw unexpected(from, "the next page on the same host", target);
}

/** What an answer that is none means. The hub says 401 for what is private, and for what is not there at all. */
export function explainStatus(
  response: Response,
  url: string,
  { id, revision }: HubId,
  place: HubPlace,
): CapstanError {
  const { status, headers } = response;
  const code = headers.get("x-error-code");
  const said = headers.get("x-error-message");
  const action = `pull ${id}${revision === "main" ? "" : `@${revision}`}`;
  const anonymous = place.token === undefined;
  if (code === "GatedRepo") {
    const who = anonymous ? "set HF_TOKEN" : "use the token of an account that has it (HF_TOKEN)";
    return new CapstanError("access_denied", {
      action,
      need: "access to a gated model",
      found: `none (status ${status})`,
      fix: `Ask for it at ${place.endpoint}/${id}, then ${who}.`,
    });
  }
  if (status === 401 && said === "Invalid credentials in Authorization header") {
    const fix = "Make a new one, or unset HF_TOKEN for public models.";
    return new CapstanError("access_denied", {
      action,
      need: "a valid token",
      found: "one the hub refuses",
      fix,
    });
  }
  if (code === "RevisionNotFound") {
    const fix = "Give a branch, a tag or a whole commit.";
    return new CapstanError("not_found", {
      action,
      need: `revision ${show(revision)}`,
      found: "none of that name",
      fix,
    });
  }
  if (code === "RepoNotFound" || status === 404 || status === 401) {
    const fix = `Is the name right? A private one needs ${anonymous ? "HF_TOKEN" : "the token of an account that may read it"}.`;
    const found = `none for ${anonymous ? "the public" : "this token"} (status ${status})`;
    return new CapstanError("not_found", {
      action,
      need: `a model of that name at ${place.endpoint}`,
      found,
      fix,
    });
  }
  if (status === 403) {
    const found = said === null ? "status 403" : show(said);
    return new CapstanError("access_denied", { action, need: "permission", found });
  }
  return statusError(response, url);
}

function unexpected(url: string, need: string, found: unknown): CapstanError {
  const action = `ask ${new URL(url).origin}`;
  const fix = "Is HF_ENDPOINT a hub?";
  return new CapstanError("bad_file", { action, need, found: show(found ?? null), fix });
}
