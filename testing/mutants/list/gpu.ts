import { faultsOf, type Mutant } from "../mutants.ts";

const record = "gpu/layout/record.test.ts";

export const GPU: readonly Mutant[] = [
  ...faultsOf("gpu/random.ts", "gpu/random.test.ts", [
    ["a carry is lost", "(middle >>> 16) + (carry >>> 16)", "(middle >>> 16)"],
    ["keys are added the other way round", "low + 0x9e3779b9", "low + 0xbb67ae85"],
  ]),
  ...faultsOf("gpu/layout/record.ts", record, [
    ["threes are aligned as pairs", "count === 1 ? 1 : count === 2 ? 2 : 4", "count === 1 ? 1 : 2"],
    ["records lie without a gap", "this.stride = aligned(end, largest);", "this.stride = end;"],
    [
      "a number that float32 does not hold is taken",
      "Math.abs(value) <= MAX_F32)",
      "Math.abs(value) <= Infinity)",
    ],
  ]),
  ...faultsOf("gpu/layout/packed.ts", "gpu/layout/packed.test.ts", [
    [
      "what is packed is lost when the buffer grows",
      "new Uint8Array(larger).set(new Uint8Array(this.#buffer));",
      "new Uint8Array(larger);",
    ],
    [
      "holes of a sparse list are zeros",
      "this.#u32.fill(NONE, at, at + length);",
      "this.#u32.fill(0, at, at + length);",
    ],
  ]),
  ...faultsOf("gpu/layout/sample.ts", "gpu/layout/sample.test.ts", [
    ["infinities reach the kernel", "IS_FLOAT[i] ? nearestF32(numbers[name])", "IS_FLOAT[i] ? numbers[name]"],
  ]),
  ...faultsOf("gpu/share.ts", "gpu/plan.test.ts", [
    [
      "buffers of one stage share a place",
      "a.first <= b.last && b.first <= a.last",
      "a.first < b.last && b.first < a.last",
    ],
    ["a buffer dies before its readers", "range.last = index;", ""],
  ]),
  ...faultsOf("gpu/shader.ts", "gpu/shader.test.ts", [
    ["floats are declared as they are, beyond float32", "Math.fround(value.f32)", "(value.f32)"],
  ]),
];
