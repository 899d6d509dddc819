import { CapstanError, isObject, show } from "../../../models/index.ts";
import { readSourceJson } from "../../checkpoint/source/index.ts";
import type { FileSource } from "../../types.ts";

/** An added token as the files have it. */
interface TokenJson {
  content: string;
  single_word: boolean;
  lstrip: boolean;
  rstrip: boolean;
  normalized: boolean;
  special: boolean;
}

type Json = Record<string, unknown>;

/** The special tokens that have a name of their own in every tokenizer. */
const NAMES = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"].map((name) => `${name}_token`);

/** What a tokenizer's class names where its files do not (transformers 5.23: the classes of decoders). */
const CLASS_DEFAULTS: Readonly<Record<string, readonly [bos: string | null, eos: string]>> = {
  CodeLlamaTokenizer: ["<s>", "</s>"],
  CohereTokenizer: ["<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>"],
  GemmaTokenizer: ["<bos>", "<eos>"],
  GPT2Tokenizer: ["<|endoftext|>", "<|endoftext|>"],
  GPTNeoXTokenizer: ["<|endoftext|>", "<|endoftext|>"],
  LlamaTokenizer: ["<s>", "</s>"],
  Qwen2Tokenizer: [null, "<|endoftext|>"],
  Qwen3_5Tokenizer: [null, "<|endoftext|>"],
  XGLMTokenizer: ["<s>", "</s>"],
};

export interface SpecialTokens {
  /** All added tokens, in the order they are added; a later one of the same content replaces an earlier one. */
  added_tokens: unknown[];
  /** Named special tokens, which a chat template may use: `bos_token`, `eos_token`, `image_token`, ... */
  variables: Record<string, string>;
}

/** Files of before transformers 4.34, which had no `added_tokens_decoder`; null where there is one. */
export type OldFiles = { map: Json; by_id: Json } | null;

/** Reads special_tokens_map.json and added_tokens.json, where they count. */
export async function readOldFiles(files: FileSource, config: Json): Promise<OldFiles> {
  if (config.added_tokens_decoder !== undefined) return null;
  const names = ["special_tokens_map.json", "added_tokens.json"];
  const [map = {}, by_id = {}] = await Promise.all(names.map((name) => readSourceJson(files, name)));
  return { map, by_id };
}

/**
 * Special tokens from wherever they are written, in the order in which transformers 5 reads the files: tokenizer.json
 * has the tokens, tokenizer_config.json names them and may add some (`added_tokens_decoder`). Folders of before 4.34 have
 * no `added_tokens_decoder`; there special_tokens_map.json names them, and added_tokens.json adds some by id.
 *
 * @param config tokenizer_config.json
 * @param rest tokenizer.json without its vocabulary
 */
export function readSpecialTokens(config: Json, old: OldFiles, rest: Json): SpecialTokens {
  const own = rest.added_tokens ?? [];
  if (!Array.isArray(own)) throw bad("tokenizer.json", "added_tokens as a list", own);
  for (const token of own) checkOwn(token);
  const decoder = config.added_tokens_decoder;
  const { map, by_id } = old ?? { map: {}, by_id: {} };
  const named = namedTokens(config, map);
  const { of_lists, of_map } = extraTokens(config, map);
  const common = NAMES.flatMap((name) => named.get(name) ?? []);
  const special = new Set([...common, ...of_lists].map(({ content }) => content));
  const listed = old === null ? fromDecoder(decoder) : fromIds(by_id, special);
  // A token that has a name is special, whatever the file says that lists it.
  const names = new Set([...named.values()].map(({ content }) => content));
  const again = [...(old === null ? [] : (own as TokenJson[])), ...listed];
  const added = [
    ...(own as TokenJson[]),
    ...again.map((token) => ({ ...token, special: token.special || names.has(token.content) })),
  ];
  // Of these only what is not there yet is added: the files that list tokens know more of them.
  const known = new Set(added.map(({ content }) => content));
  added.push(...[...named.values(), ...of_lists, ...of_map].filter(({ content }) => !known.has(content)));
  const variables = Object.fromEntries([...named].map(([name, { content }]) => [name, content]));
  const contents = new Set(added.map(({ content }) => content));
  return { added_tokens: added, variables: { ...classDefaults(config, variables, contents), ...variables } };
}

function checkOwn(token: unknown): void {
  const is_whole = isObject(token) && typeof token.content === "string" && token.content !== "";
  // The id is what Python's tokenizers warn of where it is not the one that the token gets.
  if (!is_whole || !Number.isInteger(token.id) || (token.id as number) < 0)
    throw bad("tokenizer.json", "added_tokens with content and id", token);
}

/**
 * Every `..._token`, in the order they are added. Of the names that all tokenizers have the map's goes before the
 * config's; of others the config's before the map's, and a dictionary of extra ones before both.
 */
function namedTokens(config: Json, map: Json): Map<string, TokenJson> {
  const of = (json: Json, is_wanted: (name: string) => boolean) =>
    Object.entries(json).filter(
      ([name, value]) => is_wanted(name) && (value === null || readToken(value) !== null),
    );
  const isCommon = (name: string) => NAMES.includes(name);
  const isOther = (name: string) => name.endsWith("_token") && !isCommon(name);
  const extra = [config, map].map((json) => json.extra_special_tokens).filter(isObject);
  const values = new Map<string, unknown>(NAMES.map((name) => [name, null]));
  const sources = [of(config, isCommon), of(map, isCommon), of(map, isOther), of(config, isOther)];
  for (const [name, value] of [...sources.flat(), ...extra.flatMap((json) => of(json, () => true))]) {
    values.set(name, value);
  }
  const tokens = [...values].map(([name, value]) => [name, readToken(value)] as const);
  return new Map(
    tokens.flatMap(([name, token]) => (token === null ? [] : [[name, { ...token, special: true }]])),
  );
}

/**
 * Special tokens without a name: `extra_special_tokens`, or `additional_special_tokens` as they were called before. The
 * map's older ones count only where the config has neither.
 */
function extraTokens(config: Json, map: Json): { of_lists: TokenJson[]; of_map: TokenJson[] } {
  const { extra_special_tokens: extra, additional_special_tokens: additional } = config;
  const has_extra = extra !== undefined && !isObject(extra);
  const is_empty = !Array.isArray(extra) || extra.length === 0;
  const list = additional !== undefined && is_empty ? additional : extra;
  const of_lists = [...readTokens(list), ...readTokens(map.extra_special_tokens)];
  const is_open = !has_extra && additional === undefined && !Array.isArray(map.extra_special_tokens);
  return { of_lists, of_map: is_open ? readTokens(map.additional_special_tokens) : [] };
}

function readTokens(list: unknown): TokenJson[] {
  return Array.isArray(list) ? list.flatMap((value) => readToken(value) ?? []) : [];
}

/** `{ "<id>": { content, ... } }` */
function fromDecoder(decoder: unknown): TokenJson[] {
  if (!isObject(decoder)) throw bad("tokenizer_config.json", "added_tokens_decoder as an object", decoder);
  return byId(decoder).map(([, value]) => {
    const token = isObject(value) ? readToken(value, { special: false }) : null;
    if (token === null)
      throw bad("tokenizer_config.json", "tokens with content in added_tokens_decoder", value);
    return token;
  });
}

/** `{ "<token>": id }` */
function fromIds(by_id: Json, special: ReadonlySet<string>): TokenJson[] {
  const entries = Object.entries(by_id).map(([content, id]) => [String(id), content] as const);
  return byId(Object.fromEntries(entries)).map(([, content]) => {
    const is_special = special.has(String(content));
    return { ...PLAIN, content: String(content), special: is_special, normalized: !is_special };
  });
}

function byId(json: Json): [string, unknown][] {
  return Object.entries(json).sort(([a], [b]) => Number(a) - Number(b));
}

const PLAIN = { single_word: false, lstrip: false, rstrip: false };

/** A token as text, or as an object with its flags. */
function readToken(value: unknown, defaults = { special: true }): TokenJson | null {
  const content = isObject(value) ? value.content : value;
  if (typeof content !== "string" || content === "") return null;
  const flags = isObject(value) ? value : {};
  const special = typeof flags.special === "boolean" ? flags.special : defaults.special;
  return {
    content,
    single_word: flags.single_word === true,
    lstrip: flags.lstrip === true,
    rstrip: flags.rstrip === true,
    normalized: typeof flags.normalized === "boolean" ? flags.normalized : !special,
    special,
  };
}

/** What the tokenizer's class names, of the tokens that are there and that the files do not speak of. */
function classDefaults(
  config: Json,
  variables: Record<string, string>,
  known: ReadonlySet<string>,
): Record<string, string> {
  const name = String(config.tokenizer_class ?? "").replace(/Fast$/, "");
  const [bos, eos] = CLASS_DEFAULTS[name] ?? [null, null];
  const defaults: [string, string | null][] = [
    ["bos_token", bos],
    ["eos_token", eos],
  ];
  const is_open = (name: string) => variables[name] === undefined && config[name] === undefined;
  return Object.fromEntries(
    defaults.flatMap(([name, token]) =>
      token !== null && is_open(name) && known.has(token) ? [[name, token]] : [],
    ),
  );
}

function bad(file: string, need: string, found: unknown): CapstanError {
  return new CapstanError("tokenizer", { action: `read ${file}`, need, found: show(found) });
}
