import { CapstanError, isObject, show } from "../../../models/index.ts";

/** What a tokenizer puts around a text that begins a sequence: `<s>` for most models, nothing for some. */
export interface Frame {
  before: readonly number[];
  after: readonly number[];
}

type Json = Record<string, unknown>;

const NOTHING: Frame = { before: [], after: [] };

/**
 * Reads the post-processor of tokenizer.json. transformers 5 heeds nothing else where that file is there: not
 * `add_bos_token` and `add_eos_token` of tokenizer_config.json, which are for tokenizers without one.
 *
 * @param idOf the id of a token by its text
 * @throws CapstanError `tokenizer` for a post-processor that names tokens which are not there
 */
export function readFrame(json: Json, idOf: (token: string) => number | undefined): Frame {
  return processorFrame(json.post_processor, idOf);
}

function processorFrame(processor: unknown, idOf: (token: string) => number | undefined): Frame {
  if (!isObject(processor)) return NOTHING;
  switch (processor.type) {
    case "Sequence": {
      const parts = Array.isArray(processor.processors) ? processor.processors : [];
      const frames = parts.map((part) => processorFrame(part, idOf));
      return {
        // Each puts its own around what the one before it made.
        before: [...frames].reverse().flatMap(({ before }) => before),
        after: frames.flatMap(({ after }) => after),
      };
    }
    case "TemplateProcessing":
      return templateFrame(processor, idOf);
    case "BertProcessing":
    case "RobertaProcessing":
      return { before: [tokenOf(processor.cls, idOf)], after: [tokenOf(processor.sep, idOf)] };
    default:
      return NOTHING;
  }
}

/** `single` lists what stands around `{ Sequence }`; each special token goes by its ids. */
function templateFrame({ single, special_tokens }: Json, idOf: (token: string) => number | undefined): Frame {
  const before: number[] = [];
  const after: number[] = [];
  let side = before;
  for (const part of Array.isArray(single) ? single : []) {
    const special = isObject(part) ? part.SpecialToken : undefined;
    if (isObject(part) && isObject(part.Sequence)) side = after;
    else if (isObject(special) && typeof special.id === "string") {
      const known = isObject(special_tokens) ? special_tokens[special.id] : undefined;
      const ids = isObject(known) && Array.isArray(known.ids) ? known.ids : [idOf(special.id)];
      if (!ids.every(isId)) throw bad("a template with known special tokens", show(special.id));
      side.push(...ids);
    } else throw bad("a template of sequences and special tokens", show(part));
  }
  return { before, after };
}

/** `[text, id]` */
function tokenOf(pair: unknown, idOf: (token: string) => number | undefined): number {
  const [text, id] = Array.isArray(pair) ? pair : [];
  const found = isId(id) ? id : idOf(String(text));
  if (found !== undefined) return found;
  throw bad("a special token with its id", show(pair ?? null));
}

/** Ids beyond any vocabulary would make tables of a size that no file justifies. */
export function isId(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 22;
}

function bad(need: string, found: string): CapstanError {
  return new CapstanError("tokenizer", { action: "read what a tokenizer adds to a text", need, found });
}
