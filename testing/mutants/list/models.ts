import { faultsOf, type Mutant } from "../mutants.ts";

const hooks = "models/hooks.test.ts";
const architectures = "models/architectures.test.ts";

export const MODELS: readonly Mutant[] = [
  ...faultsOf("models/hooks.ts", hooks, [
    ["a ceiling counts as the floor", "{ floor: floor ?? ", "{ floor: ceiling ?? "],
    ["directions keep their length", "(x) => x / length)", "(x) => x)"],
    ["an ablation adds by default", "coefficient(hook, 0, where)", "coefficient(hook, 1, where)"],
    ["a floor above the ceiling is taken", "floor > ceiling) {", "floor > ceiling + 1e9) {"],
    [
      "hooks on last positions are as those on all",
      "plan.acts_on_last = true;",
      "plan.acts_on_last = false;",
    ],
    ["two readings of one name are taken", "if (taken.has(name)) throw", "if (taken.has(name + name)) throw"],
  ]),
  ...faultsOf("models/memory.ts", "models/memory.test.ts", [
    ["keys count and values do not", "2 * 4 * n_layers", "4 * n_layers"],
    ["scales of blocks take no memory", "bytes: 34", "bytes: 32"],
  ]),
  ...faultsOf("models/rope.ts", "models/rope.test.ts", [
    [
      "long factors one token early",
      "longs.filter((beyond) => length > ",
      "longs.filter((beyond) => length >= ",
    ],
    ["rows begin at position 0", "Math.fround((start + row)", "Math.fround((row)"],
  ]),
  ...faultsOf("models/architectures/common.ts", architectures, [
    [
      "every query head has keys of its own",
      'const n_kv_heads = config.count("num_key_value_heads", defaults.n_kv_heads ?? n_heads);',
      'const n_kv_heads = (config.count("num_key_value_heads", n_heads), n_heads);',
    ],
  ]),
  ...faultsOf("models/architectures/index.ts", "conformance/check/made_up.test.ts", [
    [
      "an added family stays after its removal",
      "if (before === undefined) ADDED.delete(model_type);",
      "if (before === undefined) return;",
    ],
  ]),
  ...faultsOf("models/entry_parts.ts", "models/entry_parts.test.ts", [
    ["every part draws a token", "sample: is_last ? entry.sample : null,", "sample: entry.sample,"],
    [
      "parts stand at the call's own position",
      "position: entry.position + start,",
      "position: entry.position,",
    ],
  ]),
  ...faultsOf("models/slots.ts", "models/slots.test.ts", [
    ["a freed id is still one in use", "this.#in_use[slot] = false;", ""],
    ["a slot's ids are all one", "% LAST_USE) + 1", "% 1) + 1"],
  ]),
];
