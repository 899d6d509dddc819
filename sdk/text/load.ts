import type { TextModule } from "../../core-wasm/text/index.ts";
import { present } from "../../models/certain.ts";
import { CapstanError, isObject, show } from "../../models/index.ts";
import {
  readSourceBytes,
  readSourceJson,
  readSourceText,
  resolveSource,
} from "../checkpoint/source/index.ts";
import { textModule } from "../platform/text.ts";
import type { FileSource, TemplateArgs, Tokenizer } from "../types.ts";
import type { ChatTemplate } from "./chat/template.ts";
import { readStreamRules } from "./stream/stream_rules.ts";
import { type ChooseTemplate, makeTokenizer, missingTokenizer } from "./tokenizer.ts";
import { AddedTokens } from "./vocabulary/added.ts";
import { readFrame } from "./vocabulary/frame.ts";
import { readOldFiles, readSpecialTokens } from "./vocabulary/special_tokens.ts";

/** `loadTokenizer` of `index.ts`. */
export async function loadTokenizer(source: string | URL | FileSource): Promise<Tokenizer> {
  const { files } = await resolveSource(source);
  const [{ text, json }, { config, old, templates, makeTemplate }] = await Promise.all([
    readModuleAndFile(files),
    readOtherFiles(files),
  ]);
  const { tables, rest } = text.readFile(json);
  const { added_tokens, variables } = readSpecialTokens(config, old, rest);
  const core = text.open({ tables, rest: { ...rest, added_tokens } });
  const added = new AddedTokens(core);
  const frame = readFrame(rest, (token) => core.tokenToId(token));
  const choose = makeTemplate && chooseTemplate(templates, (source) => makeTemplate(source, variables));
  const stream_rules = readStreamRules(rest.decoder, core);
  const chat_template = defaultTemplate(templates);
  return makeTokenizer({ core, added, frame, choose, chat_template, stream_rules });
}

/** tokenizer.json, and the module that reads it, which compiles meanwhile. */
async function readModuleAndFile(files: FileSource): Promise<{ text: TextModule; json: Uint8Array }> {
  if ((await files.size("tokenizer.json")) === undefined) throw await noTokenizer(files);
  const [text, json] = await Promise.all([textModule(), readSourceBytes(files, "tokenizer.json")]);
  if (json === undefined) throw await noTokenizer(files);
  return { text, json };
}

/** What stands beside tokenizer.json; with a chat template, the code that renders one, which a chat then finds loaded. */
async function readOtherFiles(files: FileSource) {
  const config = (await readSourceJson(files, "tokenizer_config.json")) ?? {};
  const [old, templates] = await Promise.all([readOldFiles(files, config), readTemplates(files, config)]);
  const makeTemplate = templates.size === 0 ? null : (await import("./chat/template.ts")).makeTemplate;
  return { config, old, templates, makeTemplate };
}

/** `loadModelTokenizer` of `index.ts`. */
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
    fix: sentencepiece
      ? "Save it again from Python: AutoTokenizer.from_pretrained(...).save_pretrained(...)."
      : "Token ids work without it.",
  });
}

/** Chat templates by name. */
async function readTemplates(
  files: FileSource,
  config: Record<string, unknown>,
): Promise<Map<string, string>> {
  const [file, tool_use] = await Promise.all([
    readSourceText(files, "chat_template.jinja"),
    readSourceText(files, "additional_chat_templates/tool_use.jinja"),
  ]);
  return templateSources(file, tool_use, config.chat_template);
}

/** @param make reads a template */
function chooseTemplate(
  sources: Map<string, string>,
  make: (source: string) => ChatTemplate,
): ChooseTemplate {
  // Read when first used: a model with a template we cannot read still takes text.
  const parsed = new Map<string, ChatTemplate>();
  return (args: TemplateArgs) => {
    const name = args.tools !== undefined && sources.has("tool_use") ? "tool_use" : "default";
    const source = present(sources.get(name) ?? defaultTemplate(sources), "a chat template");
    const template = parsed.get(name) ?? make(source);
    parsed.set(name, template);
    return template;
  };
}

/** The template that renders where a chat asks for no other. */
function defaultTemplate(sources: ReadonlyMap<string, string>): string | null {
  return sources.get("default") ?? [...sources.values()][0] ?? null;
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

function bad(need: string, found: string): CapstanError {
  return new CapstanError("tokenizer", { action: "read tokenizer_config.json", need, found });
}
