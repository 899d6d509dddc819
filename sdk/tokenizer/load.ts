import { CapstanError, isObject, show } from "../../models/index.ts";
import { readSourceJson, readSourceText, resolveSource } from "../source/index.ts";
import type { FileSource, TemplateArgs, Tokenizer } from "../types.ts";
import { type AddedToken, AddedTokens } from "./added.ts";
import { isId, readFrame } from "./frame.ts";
import { checkPatterns } from "./patterns.ts";
import { ChatTemplate } from "./template.ts";
import { type ChooseTemplate, makeTokenizer, missingTokenizer } from "./tokenizer.ts";
import { type TokenizerFile, Vocabulary } from "./vocabulary.ts";

/**
 * Loads a tokenizer from a model's folder or another source: tokenizer.json, and where they are there
 * tokenizer_config.json and chat_template.jinja.
 *
 * @param source what `load` takes: a folder, the embedded model's name, or a file source
 * @throws CapstanError `tokenizer` where there is none or it is of a kind that this runtime would get wrong,
 *   `bad_file` for a damaged file, `not_found` for a missing folder
 * @example
 * const tokenizer = await loadTokenizer("capstan-tiny");
 * tokenizer.decode(tokenizer.encode("Hello")); // "Hello"
 */
export async function loadTokenizer(source: string | URL | FileSource): Promise<Tokenizer> {
  const { files } = await resolveSource(source);
  const json = await readSourceJson(files, "tokenizer.json");
  if (json === undefined) throw await noTokenizer(files);
  const config = (await readSourceJson(files, "tokenizer_config.json")) ?? {};
  const file = checkTokenizer(json);
  const added = new AddedTokens(readAddedTokens(json));
  const idOf = (token: string) => added.by_text.get(token)?.id ?? file.model.vocab[token];
  const frame = readFrame(json, idOf);
  return makeTokenizer(buildVocabulary(file, added), added, frame, await loadTemplates(files, config));
}

/**
 * The tokenizer of a model that is being loaded. A model works on token ids without one, so what is wrong with it is
 * kept for its first use.
 */
export async function loadModelTokenizer(files: FileSource): Promise<Tokenizer> {
  try {
    return await loadTokenizer(files);
  } catch (error) {
    if (error instanceof CapstanError) return missingTokenizer(error);
    throw error;
  }
}

async function noTokenizer(files: FileSource): Promise<CapstanError> {
  const sentencepiece = (await files.size("tokenizer.model")) !== undefined;
  return new CapstanError("tokenizer", {
    action: "load the tokenizer",
    need: "tokenizer.json beside the weights",
    found: sentencepiece ? "tokenizer.model only" : "no such file",
    mend: sentencepiece
      ? "Save it again from Python: AutoTokenizer.from_pretrained(...).save_pretrained(...)."
      : "Token ids work without it.",
  });
}

function checkTokenizer(json: Record<string, unknown>): TokenizerFile {
  const model = json.model;
  if (!isObject(model)) throw bad("a model", show(model ?? null));
  const { type, vocab, merges } = model;
  // Older files leave the type out; merges are what only BPE has.
  if (type !== "BPE" && !(type === undefined && merges !== undefined)) {
    const mend = "This runtime would split text otherwise than the model was trained on; use token ids.";
    throw bad("a BPE vocabulary", `model type ${show(type ?? null)}`, mend);
  }
  if (!isObject(vocab)) throw bad("model.vocab with an id for each token", show(vocab ?? null));
  for (const [token, id] of Object.entries(vocab)) {
    if (!isId(id)) throw bad(`a token id for ${show(token)}`, show(id));
  }
  if (!Array.isArray(merges) || !merges.every(isMerge))
    throw bad("model.merges as pairs of tokens", "others");
  checkSplits(json.pre_tokenizer, json.normalizer);
  for (const part of [json.normalizer, json.pre_tokenizer, json.decoder]) checkPatterns(part);
  const absent = {
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    added_tokens: [],
  };
  return { ...absent, ...json, model: { ...model, type: "BPE", vocab, merges } as TokenizerFile["model"] };
}

/** The library cuts out every match of a Split, whatever its behavior says; that is right for these two only. */
const KNOWN_BEHAVIORS = ["isolated", "removed"];

function checkSplits(part: unknown, normalizer: unknown): void {
  if (!isObject(part)) return;
  if (Array.isArray(part.pretokenizers)) for (const one of part.pretokenizers) checkSplits(one, normalizer);
  if (part.type !== "Split" || KNOWN_BEHAVIORS.includes(String(part.behavior).toLowerCase())) return;
  // Gemma's splits at spaces, after its normalizer has replaced them all.
  const replaced = isObject(normalizer) && normalizer.type === "Replace" ? normalizer.pattern : undefined;
  if (replaced !== undefined && JSON.stringify(replaced) === JSON.stringify(part.pattern)) return;
  throw bad("a Split that is Isolated or Removed", show(part.behavior ?? null), "Token ids work without it.");
}

function readAddedTokens(json: Record<string, unknown>): AddedToken[] {
  const list = json.added_tokens ?? [];
  if (!Array.isArray(list)) throw bad("added_tokens as a list", show(list));
  return list.map((token: unknown) => {
    if (!isObject(token) || typeof token.content !== "string" || token.content === "" || !isId(token.id)) {
      throw bad("added_tokens with content and id", show(token));
    }
    const special = token.special === true;
    return {
      id: token.id,
      content: token.content,
      special,
      lstrip: token.lstrip === true,
      rstrip: token.rstrip === true,
      single_word: token.single_word === true,
      normalized: typeof token.normalized === "boolean" ? token.normalized : !special,
    };
  });
}

function buildVocabulary(file: TokenizerFile, added: AddedTokens): Vocabulary {
  try {
    return new Vocabulary(file, added);
  } catch (cause) {
    if (cause instanceof CapstanError) throw cause;
    const found = (cause instanceof Error ? cause.message : String(cause)).slice(0, 100);
    throw bad("parts that this runtime knows", found, "Token ids work without it.", cause);
  }
}

/** Names of the special tokens that transformers hands to a template. */
const TEMPLATE_TOKENS = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"].map((name) => `${name}_token`);

async function loadTemplates(
  files: FileSource,
  config: Record<string, unknown>,
): Promise<ChooseTemplate | null> {
  const variables: Record<string, string> = {};
  for (const name of TEMPLATE_TOKENS) {
    const token = config[name];
    const text = isObject(token) ? token.content : token;
    if (typeof text === "string") variables[name] = text;
  }
  const file = await readSourceText(files, "chat_template.jinja");
  const tool_use = await readSourceText(files, "additional_chat_templates/tool_use.jinja");
  const sources = templateSources(file, tool_use, config.chat_template);
  if (sources.size === 0) return null;
  // Read when first used: a model with a template we cannot read still takes text.
  const parsed = new Map<string, ChatTemplate>();
  return (args: TemplateArgs) => {
    const name = args.tools !== undefined && sources.has("tool_use") ? "tool_use" : "default";
    const source = sources.get(name) ?? [...sources.values()][0]!;
    const template = parsed.get(name) ?? new ChatTemplate(source, variables);
    parsed.set(name, template);
    return template;
  };
}

/** Templates by name; a file of its own goes before what the config says. */
function templateSources(
  file: string | undefined,
  tool_use: string | undefined,
  field: unknown,
): Map<string, string> {
  if (file !== undefined)
    return new Map([["default", file], ...(tool_use ? [["tool_use", tool_use] as const] : [])]);
  if (typeof field === "string") return new Map([["default", field]]);
  const named = new Map<string, string>();
  for (const entry of Array.isArray(field) ? field : []) {
    if (!isObject(entry) || typeof entry.name !== "string" || typeof entry.template !== "string") {
      throw bad("chat templates with name and template", show(entry));
    }
    named.set(entry.name, entry.template);
  }
  return named;
}

function isMerge(merge: unknown): boolean {
  if (typeof merge === "string") return merge.includes(" ");
  return Array.isArray(merge) && merge.length === 2 && merge.every((part) => typeof part === "string");
}

function bad(need: string, found: string, mend?: string, cause?: unknown): CapstanError {
  const parts = { action: "read tokenizer.json", need, found };
  return new CapstanError("tokenizer", mend === undefined ? parts : { ...parts, mend }, { cause });
}
