import { type Command, InvalidArgumentError } from "commander";
import { CapstanError, isObject } from "../../models/index.ts";
import { fileKind } from "../platform/index.ts";
import type { CollectOptions, LayerRange, Run } from "../science/index.ts";
import type { Io } from "./io.ts";
import { realNumber, wholeNumber } from "./options.ts";
import { count } from "./progress.ts";

/** Options of the verbs that collect. */
export interface CollectingOptions {
  roles?: string[];
  skip_bad_roles?: boolean;
  questions?: string[];
  questions_per_role?: number;
  questions_per_instruction?: number;
  samples?: number;
  limit?: number;
  temperature?: number;
  top_p?: number;
  max_tokens?: number;
  seed?: number;
  model_name?: string;
  template_args?: Record<string, unknown>;
  layers?: number[];
  concurrency?: number;
}

export function addCollectingOptions(command: Command): Command {
  return command
    .option(
      "--roles <from...>",
      "folder of <role>.json, or such files; then names and ranges (0:20, end exclusive, in alphabetical order) of those to take, apart by spaces or commas (default: all of the model's own)",
      items,
    )
    .option(
      "--skip_bad_roles",
      "go on without roles whose file is bad, and say which (default: the first is an error)",
    )
    .option(
      "--questions <from...>",
      "file of JSON lines { id, question }; then ids and ranges (0:20, end exclusive, in the file's order) of those to ask (default: all of the model's own)",
      items,
    )
    .option(
      "--questions_per_role <n>",
      "questions that each role is asked, spread over the list (default: all)",
      wholeNumber,
    )
    .option(
      "--questions_per_instruction <n>",
      "questions that each system prompt of a role is asked (default: the model's recipe, else all)",
      wholeNumber,
    )
    .option("--samples <n>", "replies to each prompt (default: the model's recipe, else 1)", wholeNumber)
    .option("--limit <n>", "at most this many responses a role (default: no limit)", wholeNumber)
    .option("--temperature <t>", "0 is greedy (default: the model's recipe, else 0.7)", realNumber)
    .option(
      "--top_p <p>",
      "keep the likeliest tokens that sum to p (default: the model's recipe, else 0.9)",
      realNumber,
    )
    .option("--max_tokens <n>", "longest reply (default: the model's recipe, else 512)", wholeNumber)
    .option(
      "--seed <n>",
      "same seed, same device: same responses (default: the model's recipe, else 0)",
      wholeNumber,
    )
    .option(
      "--model_name <name>",
      "what {model_name} stands for in prompts (default: the family's name, such as Qwen, else the first part of the model's)",
    )
    .option(
      "--template_args <json>",
      'further arguments of the chat template (default: {"enable_thinking": false} where it has that switch)',
      jsonObject,
    )
    .option(
      "--layers <layers>",
      "layers to keep activations of: 8:16 (end exclusive), 4,8,12 (default: all)",
      layerList,
    )
    .option("--concurrency <n>", "responses in flight at once (default: 64)", wholeNumber);
}

/** Items apart by commas; commander hands those apart by spaces one by one. */
export function items(text: string, before: readonly string[] = []): string[] {
  return [...before, ...text.split(",").filter((item) => item !== "")];
}

function jsonObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value) && !Array.isArray(value)) return value;
  } catch {
    // Said below.
  }
  throw new InvalidArgumentError('A JSON object is needed, such as {"enable_thinking": true}.');
}

/** `4,8:12`: layers and ranges of them, end exclusive. */
function layerList(text: string): number[] {
  return text.split(",").flatMap((part) => {
    const range = rangeOf(part);
    if (range !== undefined)
      return Array.from({ length: range.end - range.start }, (_, i) => range.start + i);
    if (/^\d+$/.test(part)) return [Number(part)];
    throw new InvalidArgumentError("Layers are needed, such as 8:16 (end exclusive) or 4,8,12.");
  });
}

function rangeOf(text: string): LayerRange | undefined {
  const [, start, end] = /^(\d+):(\d+)$/.exec(text) ?? [];
  if (start === undefined || Number(start) >= Number(end)) return undefined;
  return { start: Number(start), end: Number(end) };
}

const PLAIN = [
  "skip_bad_roles",
  "questions_per_role",
  "questions_per_instruction",
  "samples",
  "limit",
  "temperature",
  "top_p",
  "max_tokens",
  "seed",
  "model_name",
  "template_args",
  "layers",
  "concurrency",
] as const;

/**
 * The collecting options that were given, under collect's names.
 *
 * @throws CapstanError `bad_request` for several folders or files where one is meant
 */
export async function collectingOf(options: CollectingOptions): Promise<CollectOptions> {
  const given = PLAIN.filter((name) => options[name] !== undefined);
  return {
    ...Object.fromEntries(given.map((name) => [name, options[name]])),
    ...(await rolesOf(options.roles)),
    ...(await questionsOf(options.questions)),
  };
}

async function rolesOf(given: string[] | undefined): Promise<Pick<CollectOptions, "roles" | "only_roles">> {
  const { paths, chosen } = await sorted(given);
  const [first, ...others] = paths;
  if (others.length > 0 && !paths.every((path) => path.endsWith(".json"))) {
    throw wrong("--roles with one folder, or files of roles", paths.join(" "));
  }
  return {
    ...(first === undefined ? {} : { roles: others.length === 0 ? first : paths }),
    ...(chosen.length === 0 ? {} : { only_roles: chosen }),
  };
}

async function questionsOf(
  given: string[] | undefined,
): Promise<Pick<CollectOptions, "questions" | "only_questions">> {
  const { paths, chosen } = await sorted(given);
  const [first, ...others] = paths;
  if (others.length > 0) throw wrong("--questions with one file", paths.join(" "));
  return {
    ...(first === undefined ? {} : { questions: first }),
    ...(chosen.length === 0 ? {} : { only_questions: chosen }),
  };
}

/** Folders and files apart from names and ranges: whatever is there, or looks like a path, is a path. */
async function sorted(
  given: readonly string[] = [],
): Promise<{ paths: string[]; chosen: (string | LayerRange)[] }> {
  const paths: string[] = [];
  const chosen: (string | LayerRange)[] = [];
  for (const item of given) {
    const range = rangeOf(item);
    if (range !== undefined) chosen.push(range);
    else if (/[/\\]|\.jsonl?$/.test(item) || (await fileKind(item)) !== "none") paths.push(item);
    else chosen.push(item);
  }
  return { paths, chosen };
}

function wrong(need: string, found: string): CapstanError {
  return new CapstanError("bad_request", { action: "collect", need, found });
}

/** Says what is odd about a run's files, on stderr, and what was skipped. */
export async function printSkipped(io: Io, run: Run): Promise<void> {
  for (const warning of run.warnings) await io.warn(warning);
  const { skipped } = run;
  if (skipped.length === 0) return;
  const prompts = skipped.filter(({ key }) => key !== undefined);
  const roles = skipped.filter(({ key }) => key === undefined);
  if (roles.length > 0) {
    await io.print(
      `${count(roles.length)} roles left out, their files are bad: ${some(roles.map(({ role }) => role))}`,
    );
    for (const { reason } of roles.slice(0, SHOWN)) await io.print(`  ${reason}`);
  }
  if (prompts.length > 0) {
    await io.print(`${count(prompts.length)} prompts skipped, listed in ${run.name}/skipped.jsonl:`);
    for (const { role, prompt, question, reason } of prompts.slice(0, SHOWN)) {
      await io.print(`  ${role}, prompt ${prompt}, question ${question}: ${reason}`);
    }
    if (prompts.length > SHOWN) await io.print(`  and ${count(prompts.length - SHOWN)} more`);
  }
}

/** Skipped prompts that are shown one by one. */
const SHOWN = 5;

function some(names: readonly string[]): string {
  return names.length <= 8 ? names.join(", ") : `${names.slice(0, 8).join(", ")}, ...`;
}
