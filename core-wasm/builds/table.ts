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
    digest: "66d97a891fd7120200c1bbaa19cc88cc88d09774242d073c47a74460fdef47a3",
  },
];

export const TEXT_BUILDS: readonly Build[] = [
  {
    name: "baseline",
    features: ["simd"],
    url: () => new URL("../text/pkg/capstan_text.wasm", import.meta.url),
    digest: "9f2513e6afee91e80716319008947ad2cd7610ead0edff491ab3480de9bc8928",
  },
];
