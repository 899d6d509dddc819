import { type Command, InvalidArgumentError, Option } from "commander";
import { load } from "../inference/load.ts";
import type { GenerateOptions, LoadOptions, Model } from "../types.ts";
import type { Io } from "./io.ts";
import { bytes } from "./progress.ts";

export const DEFAULT_MODEL = "capstan-tiny";

/** Options of every verb that loads a model. */
export interface ModelOptions {
  model: string;
  device?: NonNullable<LoadOptions["device"]>;
  dtype?: NonNullable<LoadOptions["dtype"]>;
  n_ctx?: number;
  json?: boolean;
}

export function addModelOptions(command: Command): Command {
  return command
    .option(
      "--model <name>",
      "embedded model's name, a folder with config.json and safetensors, its URL, or a hub model (owner/name)",
      DEFAULT_MODEL,
    )
    .addOption(
      new Option("--device <device>", "what runs it").choices(["auto", "wasm", "webgpu"]).default("auto"),
    )
    .addOption(
      new Option(
        "--dtype <dtype>",
        "how weights are kept; auto: as in the file, and q8 on the CPU where they are more than 1 GiB",
      )
        .choices(["auto", "f32", "f16", "bf16", "q8", "q4"])
        .default("auto"),
    )
    .option("--n_ctx <tokens>", "longest sequence (default: the model's)", wholeNumber)
    .option("--json", "print one JSON object on stdout and nothing else");
}

export type SamplingOptions = Omit<
  Pick<GenerateOptions, (typeof SAMPLING)[number]>,
  "stop" | "stop_token_ids"
> & {
  stop?: string[];
  stop_token_ids?: number[];
};

export function addSamplingOptions(command: Command): Command {
  return command
    .option("--max_tokens <n>", "longest reply (default: what the context leaves)", wholeNumber)
    .option("--temperature <t>", "0 is greedy (default: the model's)", realNumber)
    .option("--top_k <k>", "keep the k likeliest tokens (default: the model's)", wholeNumber)
    .option("--top_p <p>", "keep the likeliest tokens that sum to p (default: the model's)", realNumber)
    .option(
      "--min_p <p>",
      "keep tokens of at least p times the likeliest one's probability (default: the model's)",
      realNumber,
    )
    .option("--repetition_penalty <x>", "above 1: repeat less (default: the model's)", realNumber)
    .option("--frequency_penalty <x>", "subtracted per occurrence (default: 0)", realNumber)
    .option("--presence_penalty <x>", "subtracted once a token has occurred (default: 0)", realNumber)
    .option("--seed <n>", "same seed, same device: same tokens (default: random)", wholeNumber)
    .option("--stop <text...>", "texts that end the reply (default: none)")
    .option(
      "--stop_token_ids <id...>",
      "token ids that end the reply (default: the model's alone)",
      wholeNumbers,
    );
}

const SAMPLING = [
  "max_tokens",
  "temperature",
  "top_k",
  "top_p",
  "min_p",
  "repetition_penalty",
  "frequency_penalty",
  "presence_penalty",
  "seed",
  "stop",
  "stop_token_ids",
] as const satisfies readonly (keyof GenerateOptions)[];

/** The sampling options that were given, under generate's names. */
export function samplingOf(options: SamplingOptions): GenerateOptions {
  const given = SAMPLING.filter((name) => options[name] !== undefined);
  return Object.fromEntries(given.map((name) => [name, options[name]]));
}

/**
 * Loads the model a verb names, with progress; what was odd about it is said once, on stderr.
 *
 * @param is_interactive whether somebody waits at the terminal while the model works. Then the engine runs in a worker;
 *   elsewhere nobody is held up, and the tenth of a verb's start-up that a worker takes is saved.
 */
export async function loadModel(io: Io, options: ModelOptions, is_interactive = false): Promise<Model> {
  const model = await load(options.model, {
    device: options.device ?? "auto",
    worker: is_interactive,
    dtype: options.dtype ?? "auto",
    ...(options.n_ctx === undefined ? {} : { n_ctx: options.n_ctx }),
    signal: io.signal,
    on_progress: ({ done, total, stage }) =>
      io.progress.update(`${stage === "pull" ? "pulling" : "loading"} ${bytes(done)} of ${bytes(total)}`),
  });
  io.progress.clear();
  for (const warning of model.warnings) await io.warn(warning);
  return model;
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new InvalidArgumentError("A whole number from 0 is needed.");
}

/** As many of something as there must be one of. */
export function wholeNumberFrom1(text: string): number {
  const value = wholeNumber(text);
  if (value >= 1) return value;
  throw new InvalidArgumentError("A whole number from 1 is needed.");
}

/** Where a server listens. */
export function portNumber(text: string): number {
  const value = wholeNumber(text);
  if (value <= 65_535) return value;
  throw new InvalidArgumentError("A port is a whole number from 0 to 65535.");
}

/** One of several: what commander has of them so far, and the next. */
export function wholeNumbers(text: string, before: readonly number[] = []): number[] {
  return [...before, wholeNumber(text)];
}

export function realNumber(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  throw new InvalidArgumentError("A number is needed.");
}

/** `4:6`: layers from 4 up to, not including, 6. */
export function layerRange(text: string): { start: number; end: number } {
  const match = /^(\d+):(\d+)$/.exec(text);
  if (match !== null && Number(match[1]) < Number(match[2]))
    return { start: Number(match[1]), end: Number(match[2]) };
  throw new InvalidArgumentError("Two layers start:end are needed, end exclusive, such as 4:6.");
}
