// What `capstan conformance --runtime` loads into a page and into workerd: one file each, from dist/.
const inputs = { page: "dist/conformance/hosts/page.js", worker: "dist/conformance/hosts/worker.js" };

export default Object.entries(inputs).map(([name, input]) => ({
  input: { [name]: input },
  platform: "neutral",
  // What runs on a system alone is never reached there.
  external: [/\.wasm$/, "vega", "vega-lite"],
  resolve: { mainFields: ["module", "main"], conditionNames: ["import", "default"] },
  output: {
    dir: "dist/conformance/hosts/bundle",
    format: "es",
    codeSplitting: false,
    paths: (name) =>
      name.endsWith(".wasm") ? `../../../${name.slice(name.lastIndexOf("core-wasm/"))}` : name,
  },
}));
