import { faultsOf, type Mutant } from "../mutants.ts";

const options = "sdk/common/options.test.ts";
const platform = "sdk/platform/platform.test.ts";
const safetensors = "sdk/checkpoint/safetensors/safetensors.test.ts";
const checkpoints = "sdk/checkpoint/weights/checkpoints.test.ts";
const weights = "sdk/checkpoint/weights/weights.test.ts";
const stops = "sdk/text/stream/stop_strings.test.ts";
const chat = "sdk/text/chat/chat.test.ts";

export const SDK: readonly Mutant[] = [
  ...faultsOf("sdk/common/options.ts", options, [
    [
      "unknown options are passed over",
      "if (wanted === undefined) throw unknownOption(action, name, Object.keys(known));",
      "if (wanted === undefined) continue;",
    ],
    [
      "null is a value",
      "(value === null && wanted.null_means_something !== true)",
      "(value === null && wanted.null_means_something === true)",
    ],
    [
      "the farthest name is named",
      ".sort((a, b) => a.distance - b.distance)",
      ".sort((a, b) => b.distance - a.distance)",
    ],
    [
      "a range's end is left out",
      "value >= min && value <= max);\n}\n\nexport function oneOf",
      "value >= min && value < max);\n}\n\nexport function oneOf",
    ],
  ]),
  ...faultsOf("sdk/common/token_ids.ts", "sdk/inference/prompt.test.ts", [
    ["an id beyond the vocabulary is taken", "id >= d_vocab", "id > d_vocab + 1e6"],
  ]),
  ...faultsOf("sdk/platform/files.ts", platform, [
    ["a write is not atomic", "await fs.rename(temporary, target);", "await fs.copyFile(temporary, target);"],
    [
      "a line is added to one that was cut",
      "const is_cut = size > 0 && last[0] !== 10;",
      "const is_cut = size > 0 && last[0] === 0;",
    ],
    [
      "a file that ends early gives zeros",
      "if (bytesRead === 0) {",
      "if (bytesRead === 0) return bytes;\n    if (bytesRead < 0) {",
    ],
  ]),
  ...faultsOf("sdk/platform/locks.ts", "sdk/platform/locks.test.ts", [
    [
      "a lock of a living process is taken over",
      "kill(holder.pid, 0);\n    return false;",
      "kill(holder.pid, 0);\n    return true;",
    ],
    ["another host's lock is taken over at once", "age_ms > STALE_ELSEWHERE_MS", "age_ms > 0"],
  ]),
  ...faultsOf("sdk/checkpoint/safetensors/write.ts", safetensors, [
    [
      "narrow dtypes come first",
      "dtypeRank(b.dtype) - dtypeRank(a.dtype)",
      "dtypeRank(a.dtype) - dtypeRank(b.dtype)",
    ],
    ["the header is not padded", "Math.ceil(json.length / 8) * 8", "json.length"],
  ]),
  ...faultsOf("sdk/checkpoint/safetensors/header.ts", safetensors, [
    ["a name may come twice", "if (twice !== undefined) throw", "if (twice === null) throw"],
    ["gaps between tensors are taken", "checkCover(tensors, data_start, file_bytes, file);", ""],
  ]),
  ...faultsOf("sdk/checkpoint/weights/float8.ts", checkpoints, [
    [
      "scales go by columns",
      "scales[Math.floor(row / block_rows) * grid_cols + block]!",
      "scales[block * grid_cols + Math.floor(row / block_rows)]!",
    ],
    ["small 8-bit floats become zero", "return sign | (size * 2 ** 24);", "return sign;"],
  ]),
  ...faultsOf("sdk/checkpoint/weights/digest.ts", weights, [
    [
      "the end of a file is in no digest",
      "Math.max(0, data_end - data_start - SAMPLE_BYTES)",
      "Math.max(0, data_end - data_start - 2 * SAMPLE_BYTES)",
    ],
  ]),
  ...faultsOf("sdk/checkpoint/weights/config.ts", weights, [
    [
      "do_sample: false is not greedy",
      "if (do_sample === false) defaults.temperature = 0;",
      "if (do_sample === false) defaults.top_k = 1;",
    ],
  ]),
  ...faultsOf("sdk/text/stream/stop_strings.ts", stops, [
    [
      "half a stop string gets out",
      "const length = this.#text.length - this.#suspicious();",
      "const length = this.#text.length;",
    ],
    ["the last stop string counts", "Math.min(...found)", "Math.max(...found)"],
  ]),
  ...faultsOf("sdk/text/stream/stream.ts", "sdk/text/stream/stream.test.ts", [
    ["half a character gets out", "this.#is_open ? text.length - 1 : text.length", "text.length"],
  ]),
  ...faultsOf("sdk/text/chat/spans.ts", chat, [
    [
      "the shortest text of a message counts",
      "one.size >= most.size ? one : most",
      "one.size < most.size ? one : most",
    ],
  ]),
  ...faultsOf("sdk/text/vocabulary/added.ts", chat, [
    ["a control token in a role is taken", "findAdded(text).length > 0", "findAdded(text).length > 9"],
  ]),
];
