import { faultsOf, type Mutant } from "../mutants.ts";

const pick = "core-wasm/builds/pick.test.ts";
const worker = "core-wasm/worker/device.test.ts";
const contract = "conformance/contract/contract.test.ts";
const engine = (filter: string) => ({ cargo: { crate: "capstan-core", filter } });

export const CORE_WASM: readonly Mutant[] = [
  ...faultsOf("core-wasm/builds/pick.ts", pick, [
    ["the slowest build is picked", "builds.find((build)", "builds.findLast((build)"],
    [
      "what a runtime lacks does not count",
      "(feature) => !features[feature]);\n  const",
      "(feature) => feature.length > 99);\n  const",
    ],
  ]),
  ...faultsOf("core-wasm/engine/batch.ts", contract, [
    ["hooks on last positions act on all", "Number(only_last)", "0 * Number(only_last)"],
    [
      "a ceiling is written as the floor",
      'packed.f32(hook.op === "clamp" ? hook.floor : 0',
      'packed.f32(hook.op === "clamp" ? hook.ceiling : 0',
    ],
    ["captures lie over each other", "captures_at + 4 * i * size", "captures_at + 0 * i * size"],
  ]),
  ...faultsOf("core-wasm/engine/instance.ts", "core-wasm/engine/safetensors.test.ts", [
    ["a status of the engine is ignored", "if (status === 0) return output;", "return output;"],
  ]),
  ...faultsOf(
    "core-wasm/engine/src/random.rs",
    [],
    [["nine rounds of Philox", "for _ in 0..10 {", "for _ in 0..9 {"]],
    engine("random"),
  ),
  ...faultsOf(
    "core-wasm/engine/src/sample.rs",
    [],
    [
      [
        "a penalty makes what was there likelier",
        "{ value / repetition_penalty }",
        "{ value * repetition_penalty }",
      ],
      ["log-probabilities without the highest logit", ".ln() + f64::from(highest);", ".ln();"],
    ],
    engine("sample"),
  ),
  ...faultsOf(
    "core-wasm/engine/src/formats/q4.rs",
    [],
    [
      ["the offset is left out of products", ".add(offsets.mul(x.total))", ""],
      ["odd columns of q4 are read as even ones", "[column % 2];", "[0];"],
    ],
    engine("formats"),
  ),
  ...faultsOf(
    "core-wasm/engine/src/formats/int_blocks.rs",
    [],
    [["a stream's outputs go to the first one", "out.add(group * apart * GROUP + 4 * i)", "out.add(4 * i)"]],
    engine("formats"),
  ),
  ...faultsOf(
    "core-wasm/engine/src/kernels/norm.rs",
    [],
    [["the mean stays", "(f64::from(*value) - mean) as f32", "f64::from(*value) as f32"]],
    engine("norm"),
  ),
  ...faultsOf(
    "core-wasm/engine/src/kernels/rope.rs",
    [],
    [
      ["q has the norm of k", "{ (norms.q, index) }", "{ (norms.k, index) }"],
      ["pairs turn the other way", "pair[1] * cos + pair[0] * sin", "pair[1] * cos - pair[0] * sin"],
    ],
    engine("rope"),
  ),
  ...faultsOf(
    "core-wasm/engine/src/slots.rs",
    [],
    [["a freed id serves again", "slot.uses = slot.uses % LAST_USE + 1;", "slot.uses = slot.uses % 1 + 1;"]],
    engine("slots"),
  ),
  ...faultsOf("core-wasm/worker/channel.ts", worker, [
    [
      "a worker that is gone leaves its callers waiting",
      "for (const { action, reject } of pending)",
      "for (const { action, reject } of pending.slice(pending.length))",
    ],
    [
      "an idle worker keeps the process alive",
      "if (this.#pending.size === 0) this.#port.hold(false);",
      "this.#port.hold(this.#pending.size >= 0);",
    ],
  ]),
  ...faultsOf("core-wasm/worker/device.ts", worker, [
    [
      "the reason of an abort is lost",
      "throw is_aborted && signal?.aborted",
      "throw is_aborted && signal === undefined",
    ],
    [
      "a source's error is the worker's",
      "if (loading.failure !== null) throw",
      "if (loading.failure === undefined) throw",
    ],
  ]),
  ...faultsOf("core-wasm/worker/errors.ts", worker, [
    ["an error arrives without its cause", "{ cause: receiveError(sent.cause) }", "{}"],
  ]),
  ...faultsOf("core-wasm/worker/messages.ts", worker, [
    ["large arrays are copied", "byteLength >= LEAST_TRANSFERRED", "byteLength >= 2 ** 30"],
  ]),
  ...faultsOf("core-wasm/worker/model.ts", worker, [
    [
      "a view takes its whole buffer along",
      "values.byteLength === values.buffer.byteLength ? values : values.slice()",
      "values",
    ],
  ]),
];
