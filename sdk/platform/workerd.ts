import engine from "../../core-wasm/pkg/capstan_core_bg.wasm";
import text from "../../core-wasm/text/pkg/capstan_text.wasm";
import { provideEngine } from "./engine.ts";
import { provideText } from "./text.ts";

// workerd compiles nothing while it runs: both come as modules, by imports that it (or the bundler) sees.
provideEngine(engine);
provideText(text);
