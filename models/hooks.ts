import { itemAt } from "./certain.ts";
import { CapstanError, show } from "./errors.ts";
import { isObject } from "./json.ts";
import type { DecoderSpec } from "./spec.ts";

/**
 * The places of a layer that hooks may name, in the order a forward pass meets them (TransformerLens names).
 * Interventions act on the three residual sites; captures and projections read any.
 */
export const SITE_KINDS = [
  "hook_resid_pre",
  "hook_attn_out",
  "hook_resid_mid",
  "hook_mlp_out",
  "hook_resid_post",
] as const;
/** What of a layer a site is. */
export type SiteKind = (typeof SITE_KINDS)[number];
/** A place in the model, `blocks.{layer}.{kind}`: the value there is [n_tokens, d_model]. */
export type Site = `blocks.${number}.${SiteKind}`;

/** Where a hook acts: at every position, or at the last of each forward call. */
export type Positions = "all" | "last";

/**
 * An intervention or a reading, applied by the device while it runs. With v = vector / |vector|, p = <h, v>:
 *
 * - `cap`: `floor`: h + max(floor - p, 0) v; `ceiling`: h - max(p - ceiling, 0) v (paper, section 5); with a `name`,
 *   p before the cap is streamed under it
 * - `add`: h + coefficient * vector (vector as given; coefficient 1 when absent)
 * - `ablate`: h - p v + coefficient * vector (0 when absent)
 * - `mean_ablate`: h - p v + mean
 * - `project`: streams p for each token and changes nothing
 *
 * Vectors are [d_model], float32. `positions: "last"` means the last position of each forward call.
 */
export type Hook =
  | {
      kind: "cap";
      site: Site;
      vector: Float32Array;
      floor?: number;
      ceiling?: number;
      positions?: Positions;
      name?: string;
    }
  | { kind: "add" | "ablate"; site: Site; vector: Float32Array; coefficient?: number; positions?: Positions }
  | { kind: "mean_ablate"; site: Site; vector: Float32Array; mean: Float32Array; positions?: Positions }
  | { kind: "project"; site: Site; vector: Float32Array; name?: string };

/** A site as one number, `layer * SITE_KINDS.length + kind`: the order of a forward pass. */
export type SiteId = number;

/**
 * A hook as a device runs it: three arithmetic forms and one reading. `direction` has unit length.
 *
 * - `clamp`: p < floor or p > ceiling is moved to the bound along direction
 * - `shift`: h + delta
 * - `remove`: h - p direction + delta
 * - `project`: p goes to row `output` of the step's projections
 */
export type DeviceHook =
  | {
      op: "clamp";
      site: SiteId;
      positions: Positions;
      direction: Float32Array;
      floor: number;
      ceiling: number;
    }
  | { op: "shift"; site: SiteId; positions: Positions; delta: Float32Array }
  | { op: "remove"; site: SiteId; positions: Positions; direction: Float32Array; delta: Float32Array | null }
  | { op: "project"; site: SiteId; direction: Float32Array; output: number };

/** What hooks become before they run: checked, normalised, in call order, projections numbered and named. */
export interface HookPlan {
  hooks: DeviceHook[];
  /** Name of each projection row: the hook's `name`, else its site (behind it `#2`, ... where that is taken). */
  projection_names: string[];
  /** Caps that have a name: what they do follows from the projection of that name, which is of h before the cap. */
  named_caps: { name: string; floor: number; ceiling: number }[];
  /** Whether a hook acts on the last position only (then prefixes cannot be shared up to that position). */
  acts_on_last: boolean;
}

/** Rows of projections that a set of hooks gives. */
export function projectionCount(hooks: readonly DeviceHook[]): number {
  return hooks.reduce((n, hook) => (hook.op === "project" ? Math.max(n, hook.output + 1) : n), 0);
}

const SITE_PATTERN = /^blocks\.(0|[1-9]\d{0,5})\.(hook_[a-z_]+)$/;

/** The id of a site, or a clear error when the model has none of that name. */
export function siteId(spec: DecoderSpec, site: string, action = "use a hook"): SiteId {
  const match = typeof site === "string" ? SITE_PATTERN.exec(site) : null;
  const kind = match === null ? -1 : SITE_KINDS.indexOf(match[2] as SiteKind);
  const layer = match === null ? -1 : Number(match[1]);
  const kinds = siteKinds(spec);
  if (kind >= 0 && layer < spec.n_layers && kinds.includes(match?.[2] as SiteKind))
    return layer * SITE_KINDS.length + kind;
  throw new CapstanError("bad_hook", {
    action,
    need: `a site blocks.{0..${spec.n_layers - 1}}.{${kinds.join(" | ")}}`,
    found: show(site),
  });
}

/** The places a layer has: where attention and MLP are parallel, nothing is added between them. */
function siteKinds({ block }: DecoderSpec): SiteKind[] {
  return SITE_KINDS.filter((kind) => block === "sequential" || kind !== "hook_resid_mid");
}

/** A site's name by its number. */
export function siteName(id: SiteId): Site {
  return `blocks.${Math.floor(id / SITE_KINDS.length)}.${itemAt(SITE_KINDS, id % SITE_KINDS.length)}`;
}

/** Every site of a model, in the order of a forward pass. */
export function allSites(spec: DecoderSpec): Site[] {
  const kinds = siteKinds(spec);
  return Array.from({ length: spec.n_layers }, (_, layer) =>
    kinds.map((kind): Site => `blocks.${layer}.${kind}`),
  ).flat();
}

/**
 * Sites named by patterns in which `*` stands for any layer or kind: `blocks.*.hook_resid_post`.
 *
 * @throws CapstanError `bad_hook` when a pattern names no site of the model
 */
export function expandSites(spec: DecoderSpec, patterns: readonly string[]): Site[] {
  const sites = allSites(spec);
  const chosen = new Set<Site>();
  for (const pattern of patterns) {
    const source = String(pattern)
      .split("*")
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
      .join("[^.]*");
    const matches = sites.filter((site) => new RegExp(`^${source}$`).test(site));
    if (matches.length === 0) siteId(spec, pattern, "capture activations");
    for (const site of matches) chosen.add(site);
  }
  return sites.filter((site) => chosen.has(site));
}

/**
 * Checks hooks against a model and brings them to the form a device runs.
 *
 * @throws CapstanError `bad_hook`: a vector of the wrong length, zero or not finite; floor above ceiling or
 *   neither; an unknown site or kind; an intervention on a site that is not of the residual stream
 */
export function planHooks(spec: DecoderSpec, hooks: readonly Hook[]): HookPlan {
  const plan: HookPlan = {
    hooks: [],
    projection_names: [],
    named_caps: [],
    acts_on_last: false,
  };
  const readings: { site: Site; name: string | undefined; where: string }[] = [];
  for (const [index, given] of hooks.entries()) {
    if (!isObject(given)) throw bad(`use hook ${index}`, "a hook { kind, site, vector, ... }", show(given));
    const hook = withoutNulls(given);
    const where = `use hook ${index} (${show(hook.kind)} at ${show(hook.site)})`;
    const planned = planHook(spec, hook, readings.length, where);
    checkFields(hook, where);
    if (hook.kind === "project") {
      readings.push({ site: hook.site, name: hook.name, where });
    } else if (hook.positions === "last") {
      plan.acts_on_last = true;
    }
    if (planned.op === "clamp" && hook.kind === "cap" && hook.name !== undefined) {
      const { site, direction, floor, ceiling } = planned;
      plan.hooks.push({ op: "project", site, direction, output: readings.length });
      readings.push({ site: hook.site, name: hook.name, where });
      plan.named_caps.push({ name: hook.name, floor, ceiling });
    }
    plan.hooks.push(planned);
  }
  plan.projection_names = nameReadings(readings);
  return plan;
}

/** Null stands for a field left out. */
function withoutNulls(hook: object): Hook {
  return Object.fromEntries(Object.entries(hook).filter(([, value]) => value !== null)) as unknown as Hook;
}

const FIELDS: Record<Hook["kind"], readonly string[]> = {
  cap: ["floor", "ceiling", "positions", "name"],
  add: ["coefficient", "positions"],
  ablate: ["coefficient", "positions"],
  mean_ablate: ["mean", "positions"],
  project: ["name"],
};

/** A field that a kind does not have would change nothing, without a word. */
function checkFields(hook: Hook, where: string): void {
  const known = ["kind", "site", "vector", ...FIELDS[hook.kind]];
  const unknown = Object.entries(hook).find(([name, value]) => value !== undefined && !known.includes(name));
  if (unknown !== undefined) throw bad(where, `only ${known.join(", ")}`, show(unknown[0]));
}

/**
 * The name of each reading: its own, or its site's, behind which those after the first at a site have a number (`#2`).
 *
 * @throws CapstanError `bad_hook` for two of one given name
 */
function nameReadings(
  readings: readonly { site: Site; name: string | undefined; where: string }[],
): string[] {
  const taken = new Set<string>();
  for (const { name, where } of readings) {
    if (name === undefined) continue;
    if (typeof name !== "string" || name === "") throw bad(where, "a name of some characters", show(name));
    if (taken.has(name)) throw bad(where, "a name that no other reading has", show(name));
    taken.add(name);
  }
  return readings.map(({ site, name }) => {
    if (name !== undefined) return name;
    let free: string = site;
    for (let n = 2; taken.has(free); n++) free = `${site}#${n}`;
    taken.add(free);
    return free;
  });
}

function planHook(spec: DecoderSpec, hook: Hook, output: number, where: string): DeviceHook {
  const site = siteId(spec, hook.site, where);
  const length = checkVector(spec, hook.vector, "vector", where);
  if (hook.kind === "project") return { op: "project", site, direction: unit(hook.vector, length), output };
  if (!hook.site.includes(".hook_resid_")) {
    throw bad(
      where,
      "a residual site (hook_resid_pre, hook_resid_mid or hook_resid_post) to intervene on",
      show(hook.site),
    );
  }
  const positions = hook.positions ?? "all";
  if (positions !== "all" && positions !== "last")
    throw bad(where, 'positions "all" or "last"', show(positions));
  switch (hook.kind) {
    case "cap":
      return { op: "clamp", site, positions, direction: unit(hook.vector, length), ...bounds(hook, where) };
    case "add":
      return { op: "shift", site, positions, delta: scaled(hook.vector, coefficient(hook, 1, where)) };
    case "ablate": {
      const factor = coefficient(hook, 0, where);
      const delta = factor === 0 ? null : scaled(hook.vector, factor);
      return { op: "remove", site, positions, direction: unit(hook.vector, length), delta };
    }
    case "mean_ablate":
      checkVector(spec, hook.mean, "mean", where, true);
      return {
        op: "remove",
        site,
        positions,
        direction: unit(hook.vector, length),
        delta: Float32Array.from(hook.mean),
      };
    default:
      throw bad(
        where,
        "kind cap, add, ablate, mean_ablate or project",
        show((hook as { kind?: unknown }).kind),
      );
  }
}

/** The largest number of float32. */
const MAX_F32 = 3.4028234663852886e38;

function bad(action: string, need: string, found: string): CapstanError {
  return new CapstanError("bad_hook", { action, need, found });
}

/** The length of a vector that fits the model; 0 only where `zero_ok`. */
function checkVector(
  spec: DecoderSpec,
  vector: unknown,
  name: string,
  where: string,
  zero_ok = false,
): number {
  if (!(vector instanceof Float32Array)) throw bad(where, `${name} as a Float32Array`, show(typeof vector));
  if (vector.length !== spec.d_model) throw bad(where, `${name} [${spec.d_model}]`, `[${vector.length}]`);
  let sum = 0;
  for (const x of vector) sum += x * x;
  if (!Number.isFinite(sum)) throw bad(where, `${name} of finite numbers`, "NaN or infinity in it");
  if (sum === 0 && !zero_ok) throw bad(where, `${name} with a direction`, "all zeros");
  return Math.sqrt(sum);
}

function bounds(
  hook: { floor?: number; ceiling?: number },
  where: string,
): { floor: number; ceiling: number } {
  const { floor, ceiling } = hook;
  if (floor === undefined && ceiling === undefined) throw bad(where, "a floor, a ceiling or both", "neither");
  for (const [name, bound] of Object.entries({ floor, ceiling })) {
    if (bound !== undefined && !(typeof bound === "number" && Math.abs(bound) <= MAX_F32))
      throw bad(where, `${name} as a number that float32 holds`, show(bound));
  }
  if (floor !== undefined && ceiling !== undefined && floor > ceiling) {
    throw bad(where, "floor at most ceiling", `floor ${floor}, ceiling ${ceiling}`);
  }
  return { floor: floor ?? Number.NEGATIVE_INFINITY, ceiling: ceiling ?? Number.POSITIVE_INFINITY };
}

function coefficient(hook: { coefficient?: number }, fallback: number, where: string): number {
  const value = hook.coefficient ?? fallback;
  if (typeof value === "number" && Math.abs(value) <= MAX_F32) return value;
  throw bad(where, "coefficient as a number that float32 holds", show(value));
}

function unit(vector: Float32Array, length: number): Float32Array {
  return Float32Array.from(vector, (x) => x / length);
}

function scaled(vector: Float32Array, factor: number): Float32Array {
  return Float32Array.from(vector, (x) => x * factor);
}
