import { describe, expect, it } from "vitest";
import { wasmFeatures } from "./features.ts";
import { pickBuild } from "./pick.ts";
import { type Build, ENGINE_BUILDS, TEXT_BUILDS } from "./table.ts";

const build = (name: string, ...features: Build["features"]): Build => ({
  name,
  features,
  url: () => new URL(`file:///${name}.wasm`),
  digest: "",
});
const BUILDS = [
  build("threads", "simd", "threads"),
  build("relaxed", "simd", "relaxed_simd"),
  build("baseline", "simd"),
];

describe("pickBuild", () => {
  it.each([
    [{ simd: true, relaxed_simd: true, threads: true }, "threads"],
    [{ simd: true, relaxed_simd: true, threads: false }, "relaxed"],
    [{ simd: true, relaxed_simd: false, threads: false }, "baseline"],
    [{ simd: true, relaxed_simd: false, threads: true }, "threads"],
  ])("takes the first build that a runtime with %o can run", (features, name) => {
    expect(pickBuild("the engine", BUILDS, features).name).toBe(name);
  });

  it("refuses a runtime that can run none", () => {
    const features = { simd: false, relaxed_simd: false, threads: true };
    expect(() => pickBuild("the engine", BUILDS, features)).toThrow(
      "load the engine: need a runtime with WebAssembly and its simd, found one without simd",
    );
  });

  it("finds a build of each module for the runtime that runs this test", () => {
    expect(wasmFeatures().simd).toBe(true);
    for (const builds of [ENGINE_BUILDS, TEXT_BUILDS])
      expect(pickBuild("a module", builds).url().href).toMatch(/\.wasm$/);
  });
});
