import { lastOf } from "../../../models/certain.ts";
import { templateReads } from "../../text/chat/template_use.ts";
import type { Model, TemplateArgs } from "../../types.ts";

/** Families whose models say who they are by the family's name, as the published code has them. */
const FAMILIES = ["Gemma", "Qwen", "Llama", "Mistral"] as const;

/**
 * What `{model_name}` stands for in a prompt: the family's name where the model's id names one of the published
 * families, else the id's last part up to its first hyphen (`SmolLM2-135M-Instruct` is SmolLM2).
 */
export function familyName(model: Pick<Model, "id">): string {
  const id = model.id.toLowerCase();
  const known = FAMILIES.find((family) => id.includes(family.toLowerCase()));
  if (known !== undefined) return known;
  const last = lastOf(model.id.split("/"));
  return last.split("-")[0] || last;
}

/**
 * Arguments of the chat template for the experiment: thinking is off where the template has that switch, as published,
 * unless the caller sets it.
 */
export function quietArgs(model: Pick<Model, "tokenizer">, given: TemplateArgs = {}): TemplateArgs {
  const source = model.tokenizer.chat_template ?? null;
  if (source === null || !templateReads(source, THINKING)) return given;
  return { [THINKING]: false, ...given };
}

const THINKING = "enable_thinking";
