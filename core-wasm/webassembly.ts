/**
 * What the door uses of the runtime's `WebAssembly`. TypeScript has its types only together with the whole DOM,
 * which most runtimes are not.
 */
export interface WasmModule {
  readonly [Symbol.toStringTag]?: string;
}

interface WasmInstance {
  readonly exports: unknown;
}

interface WasmApi {
  compile(bytes: BufferSource): Promise<WasmModule>;
  readonly Module: { new (bytes: BufferSource): WasmModule; prototype: WasmModule };
  readonly Instance: new (module: WasmModule, imports: object) => WasmInstance;
}

/** Bytes of a .wasm file. */
export type BufferSource = Uint8Array | ArrayBuffer;

export const wasm_api = (globalThis as unknown as { WebAssembly: WasmApi }).WebAssembly;
