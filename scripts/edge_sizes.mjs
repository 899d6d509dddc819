// Prints how large the bundles of edge-worker's entries are, as a bundler makes them of the sources: minified, and gzipped.
// The engine and the tokenizers, WebAssembly modules beside them, are listed on lines of their own.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";
import { root } from "./steps.mjs";

const ENTRIES = ["edge-worker/entries/workerd.ts", "edge-worker/index.ts"];
const MODULES = ["core-wasm/pkg/capstan_core_bg.wasm", "core-wasm/text/pkg/capstan_text.wasm"];

const kilobytes = (bytes) => `${(bytes.length / 1000).toFixed(0)} kB`.padStart(9);
const print = (name, bytes) =>
  console.log(`${name.padEnd(42)}${kilobytes(bytes)}, gzipped ${kilobytes(gzipSync(bytes, { level: 9 }))}`);

for (const entry of ENTRIES) {
  const bundle = await rolldown({
    input: join(root, entry),
    platform: "neutral",
    external: [/\.wasm$/, "vega", "vega-lite", "@resvg/resvg-js"],
    resolve: { mainFields: ["module", "main"], conditionNames: ["workerd", "import", "default"] },
  });
  const { output } = await bundle.generate({ format: "es", codeSplitting: false, minify: true });
  await bundle.close();
  print(entry, Buffer.from(output[0].code));
}
for (const module of MODULES) print(module, readFileSync(join(root, module)));
