import { CapstanError } from "../../models/errors.ts";
import { type Feature, wasmFeatures } from "./features.ts";
import type { Build } from "./table.ts";

/**
 * The first of a module's builds that this runtime can run: builds are listed the fastest first.
 *
 * @param what the module's name, for messages
 * @throws CapstanError `unsupported` where it can run none of them
 */
export function pickBuild(
  what: string,
  builds: readonly Build[],
  features: Record<Feature, boolean> = wasmFeatures(),
): Build {
  const missing = (build: Build) => build.features.filter((feature) => !features[feature]);
  const build = builds.find((build) => missing(build).length === 0);
  if (build !== undefined) return build;
  const least = builds.at(-1)?.features ?? [];
  throw new CapstanError("unsupported", {
    action: `load ${what}`,
    need: `a runtime with WebAssembly and its ${least.join(", ")}`,
    found: `one without ${least.filter((feature) => !features[feature]).join(", ")}`,
  });
}
