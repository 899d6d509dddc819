import { wasm_api } from "../webassembly.ts";

/** What a build may need of a runtime's WebAssembly. */
export type Feature = "simd" | "relaxed_simd" | "threads";

/** Which features this runtime has: `simd`, `relaxed_simd`, and `threads` (memory that several threads share). */
export function wasmFeatures(): Record<Feature, boolean> {
  const has = (feature: Feature) => wasm_api.validate(PROBES[feature]);
  return {
    simd: has("simd"),
    relaxed_simd: has("relaxed_simd"),
    // A page that is not isolated from other origins compiles such a module, and has no memory for it.
    threads: has("threads") && "SharedArrayBuffer" in globalThis,
  };
}

/** The smallest modules that hold an instruction of each feature. */
const PROBES: Record<Feature, Uint8Array> = {
  // (func (result v128) (i8x16.splat (i32.const 0)))
  simd: module([0x41, 0x00, 0xfd, 0x0f], [0x60, 0x00, 0x01, 0x7b]),
  // (func (result v128) (i8x16.relaxed_swizzle (splat 0) (splat 0)))
  relaxed_simd: module(
    [0x41, 0x00, 0xfd, 0x0f, 0x41, 0x00, 0xfd, 0x0f, 0xfd, 0x80, 0x02],
    [0x60, 0x00, 0x01, 0x7b],
  ),
  // (memory 1 1 shared)
  threads: Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 4, 1, 3, 1, 1),
};

function module(code: number[], type: number[]): Uint8Array<ArrayBuffer> {
  const body = [0, ...code, 0x0b];
  return Uint8Array.of(
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...[1, type.length + 1, 1, ...type],
    ...[3, 2, 1, 0],
    ...[10, body.length + 2, 1, body.length, ...body],
  );
}
