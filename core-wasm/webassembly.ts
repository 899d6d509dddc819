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
  compileStreaming?(response: Response): Promise<WasmModule>;
  validate(bytes: BufferSource): boolean;
  readonly Module: { new (bytes: BufferSource): WasmModule; prototype: WasmModule };
  readonly Instance: new (module: WasmModule, imports: object) => WasmInstance;
}

/** Bytes of a .wasm file. */
export type BufferSource = Uint8Array | ArrayBuffer;

export const wasm_api = (globalThis as unknown as { WebAssembly: WasmApi }).WebAssembly;

/** What a module is compiled from. A response, of type `application/wasm`, where `streams_wasm`. */
export type WasmSource = BufferSource | WasmModule | Response;

/** Whether a module may be compiled while it arrives, which browsers then keep for the next page. */
export const streams_wasm: boolean = typeof wasm_api.compileStreaming === "function";

/** Compiles a module, or takes it as it is. */
export async function compileModule(wasm: WasmSource): Promise<WasmModule> {
  if (wasm instanceof wasm_api.Module) return wasm;
  if (wasm instanceof Uint8Array || wasm instanceof ArrayBuffer) return await wasm_api.compile(wasm);
  return await wasm_api.compileStreaming!(wasm as Response);
}
