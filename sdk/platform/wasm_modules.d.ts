/** A compiled module, as workerd and its bundlers import one. */
declare module "*.wasm" {
  const module: import("../../core-wasm/index.ts").WasmModule;
  export default module;
}
