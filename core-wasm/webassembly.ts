/**
 * The part of the runtime's `WebAssembly` that is used here. TypeScript has its types only together with the whole
 * DOM, which most runtimes do not have.
 */
export interface WasmModule {
  readonly [Symbol.toStringTag]?: string;
}

/** A memory that an instance works in. */
export interface WasmMemory {
  /** Shared between threads, or not. */
  readonly buffer: ArrayBufferLike;
}

interface WasmInstance {
  readonly exports: unknown;
}

interface WasmApi {
  compile(bytes: BufferSource): Promise<WasmModule>;
  validate(bytes: BufferSource): boolean;
  readonly Module: { new (bytes: BufferSource): WasmModule; prototype: WasmModule };
  readonly Instance: new (module: WasmModule, imports: object) => WasmInstance;
}

/** Bytes of a .wasm file. */
export type BufferSource = Uint8Array | ArrayBuffer;

export const wasm_api = (globalThis as unknown as { WebAssembly: WasmApi }).WebAssembly;
