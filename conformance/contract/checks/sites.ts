import { type Hook, programSites, type Site, type SiteId, siteId, siteName } from "../../../models/index.ts";
import { Random } from "../random.ts";
import type { Twin } from "../twin.ts";

/** Every site of a model in the order of a forward pass. */
export function everySite(twin: Twin): SiteId[] {
  return programSites(twin.program);
}

/** Every site where hooks may intervene, by name. */
export function residualSites(twin: Twin): Site[] {
  return everySite(twin)
    .map(siteName)
    .filter((site) => site.includes(".hook_resid_"));
}

export function idOf(twin: Twin, site: Site): SiteId {
  return siteId(twin.tiny.decoder.spec, site);
}

/** One hook of every kind at a site, each of an effect that shows. Vectors are of any length. */
export function everyKind(
  twin: Pick<Twin, "program">,
  site: Site,
  seed: number,
  positions: "all" | "last",
): Hook[] {
  const random = new Random(seed);
  const vector = () => random.vector(twin.program.d_model, 0.7);
  return [
    { kind: "cap", site, vector: vector(), floor: 6, positions },
    { kind: "cap", site, vector: vector(), ceiling: -6, positions },
    { kind: "cap", site, vector: vector(), floor: -0.02, ceiling: 0.02, positions },
    { kind: "add", site, vector: vector(), positions },
    { kind: "add", site, vector: vector(), coefficient: -1.5, positions },
    { kind: "ablate", site, vector: vector(), positions },
    { kind: "ablate", site, vector: vector(), coefficient: 0.8, positions },
    { kind: "mean_ablate", site, vector: vector(), mean: vector(), positions },
  ];
}
