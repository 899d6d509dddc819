import type { Feature } from "./features.ts";

/** A build of a module of WebAssembly. */
export interface Build {
  readonly name: string;
  /** What the runtime must have, and what `core-wasm/build.mjs` compiles with. */
  readonly features: readonly Feature[];
  /**
   * Where its binary lies, for platform code to read. A function, for workerd's modules have no URL; with its path
   * spelled out, because that is what bundlers look for.
   */
  readonly url: () => URL;
  /** SHA-256 over the sources and the files made of them: `core-wasm/build.mjs` writes and checks it. */
  readonly digest: string;
}

/** Of each module, the builds that there are, the fastest first. */
export const ENGINE_BUILDS: readonly Build[] = [
  {
    name: "baseline",
    features: ["simd"],
    url: () => new URL("../pkg/capstan_core_bg.wasm", import.meta.url),
    digest: "f2e2d2e5c872f253465f5138d7877e3937f09382c63d23f6a13d968925dc91b6",
  },
];

export const TEXT_BUILDS: readonly Build[] = [
  {
    name: "baseline",
    features: ["simd"],
    url: () => new URL("../text/pkg/capstan_text.wasm", import.meta.url),
    digest: "8441317c68d6de7c46132b04880e3c4affbf7665273876b082be3fc1731d630d",
  },
];
