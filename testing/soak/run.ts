import process from "node:process";
import { parseArgs } from "node:util";
import { creator } from "../../conformance/devices.ts";
import { soak } from "./soak.ts";

/** `deno run -A --v8-flags=--expose-gc run.ts --device webgpu --count 2000`: one line of JSON; ends with 1 where a caller got the wrong thing. */
const { values } = parseArgs({
  options: {
    device: { type: "string", default: "wasm" },
    count: { type: "string", default: "2000" },
    concurrency: { type: "string", default: "24" },
    seed: { type: "string", default: "1" },
    model: { type: "string" },
    blocks: { type: "string", default: "60" },
  },
});
const is_wasm = values.device.startsWith("wasm");
const began = performance.now();
let said = began;
const report = await soak({
  count: Number(values.count),
  concurrency: Number(values.concurrency),
  seed: Number(values.seed),
  source: values.model ?? (is_wasm ? "models/capstan-tiny" : "conformance/reference/llama-gqa-untied"),
  blocks: Number(values.blocks),
  makeDevice: creator(values.device),
  same_bits: is_wasm,
  on_progress: (done) => {
    if (performance.now() - said < 10_000) return;
    said = performance.now();
    process.stderr.write(`${done} of ${values.count} callers\n`);
  },
});
const { heap, wrong, ...counts } = report;
const seconds = Math.round((performance.now() - began) / 1000);
process.stdout.write(
  `${JSON.stringify({ device: values.device, seconds, ...counts, heap, n_wrong: wrong.length, wrong: wrong.slice(0, 20) })}\n`,
);
process.exit(wrong.length === 0 && report.blocks === 0 && report.hook_sets === 0 ? 0 : 1);
