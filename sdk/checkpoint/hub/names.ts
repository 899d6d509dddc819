import { CapstanError, show } from "../../../models/index.ts";

/** A model of the hub. */
export interface HubId {
  /** `owner/name`; a few old models have a name only. */
  id: string;
  /** A branch, a tag, or a commit (40 hex digits). */
  revision: string;
}

const PART = "[A-Za-z0-9](?:[\\w.-]*[A-Za-z0-9_])?";
const HUB_ID = new RegExp(`^(${PART}(?:/${PART})?)(?:@([^\\s@]+))?$`);

/** Reads `owner/name` or `owner/name@revision`; undefined for what is none. */
export function parseHubId(text: string): HubId | undefined {
  const [, id, revision = "main"] = HUB_ID.exec(text) ?? [];
  const is_path = id === undefined || id.length > 96 || /--|\.\.|\.git$/.test(id);
  return is_path || /\.\.|\\/.test(revision) ? undefined : { id, revision };
}

/** As `parseHubId`. Throws `bad_request` for what is none. */
export function readHubId(text: string): HubId {
  const id = typeof text === "string" ? parseHubId(text) : undefined;
  if (id !== undefined) return id;
  const parts = { action: "pull a model", need: "owner/name or owner/name@revision", found: show(text) };
  throw new CapstanError("bad_request", parts);
}

export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/** What a runtime reads of a model's files; a repository often holds the same weights in other formats too. */
export const MODEL_FILES = ["*.json", "*.jinja", "model*.safetensors"];

/** Whether a path fits one of the patterns, as Python's fnmatch reads them: `*` `?` `[a-z]`, `*` crossing `/`. */
export function matches(path: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => globToRegExp(pattern.endsWith("/") ? `${pattern}*` : pattern).test(path));
}

function globToRegExp(pattern: string): RegExp {
  const source = pattern.replace(
    /\[(!?)([^\]]+)\]|[\s\S]/g,
    (one, not: string | undefined, set: string | undefined) => {
      if (set !== undefined) return `[${not ? "^" : ""}${set.replace(/[\\^[]/g, "\\$&")}]`;
      return one === "*"
        ? "[\\s\\S]*"
        : one === "?"
          ? "[\\s\\S]"
          : one.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
    },
  );
  try {
    return new RegExp(`^${source}$`);
  } catch (cause) {
    const parts = { action: "choose files", need: "a pattern such as *.safetensors", found: show(pattern) };
    throw new CapstanError("bad_request", parts, { cause });
  }
}
