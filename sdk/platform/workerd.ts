import wasm from "../../core-wasm/pkg/capstan_core_bg.wasm";
import { provideEngine } from "./engine.ts";

// workerd compiles nothing while it runs: the engine comes as a module, by an import that it (or the bundler) sees.
provideEngine(wasm);
