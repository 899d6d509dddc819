import {
  type BufferSource,
  type Engine,
  engineUrl,
  loadEngine,
  type WasmModule,
} from "../../core-wasm/index.ts";
import { readAsset } from "./assets.ts";

let loaded: Promise<Engine> | undefined;
let provided: BufferSource | WasmModule | undefined;

/** Gives the engine's binary to a runtime that cannot look for it: bytes, or a module where none may be compiled. */
export function provideEngine(wasm: BufferSource | WasmModule): void {
  provided = wasm;
}

/** The WASM engine of this package, compiled once a process. */
export function engine(): Promise<Engine> {
  loaded ??= (provided === undefined ? readAsset(engineUrl()) : Promise.resolve(provided))
    .then(loadEngine)
    .catch((error: unknown) => {
      loaded = undefined;
      throw error;
    });
  return loaded;
}

/** What of WebAssembly this runtime has. */
export function describeWasm(): { simd: boolean; relaxed_simd: boolean; threads: boolean } {
  const { validate } = (globalThis as unknown as { WebAssembly: { validate(bytes: Uint8Array): boolean } })
    .WebAssembly;
  return {
    simd: validate(PROBES.simd),
    relaxed_simd: validate(PROBES.relaxed_simd),
    threads: validate(PROBES.threads),
  };
}

/** The smallest modules that hold an instruction of each feature. */
const PROBES = {
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
