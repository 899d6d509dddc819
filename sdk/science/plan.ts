import type { ResponseRecord } from "../run/records.ts";
import type { Message, Model } from "../types.ts";
import { hashSeed } from "./random.ts";
import { DEFAULT_ROLE, type Question, type RoleDefinition } from "./roles.ts";

/** A response to be made: everything but what the model will say. */
export type PlannedResponse = Omit<ResponseRecord, "text" | "tokens" | "finish_reason" | "activation">;

export interface PlanOptions {
  seed: number;
  samples: number;
  /** Questions a system prompt of a role is asked, by turns; the default role is asked all. Default: all. */
  questions_per_instruction?: number;
  /** At most this many responses a role. */
  limit?: number;
}

/**
 * Every response of a collection: roles x system prompts x questions x samples (paper, section 2.1). A
 * response's key and seed depend on nothing but itself and the run's seed, so any part of the plan, in any
 * order, gives the same responses.
 */
export function planResponses(
  model: Pick<Model, "id" | "tokenizer">,
  roles: ReadonlyMap<string, RoleDefinition>,
  questions: readonly Question[],
  options: PlanOptions,
): PlannedResponse[] {
  const with_system = hasSystemRole(model);
  return [...roles].flatMap(([role, definition]) => {
    const asked = pairs(role, definition.instruction.length, questions.length, options);
    const group = definition.group === undefined ? {} : { group: definition.group };
    const planned = asked.flatMap(({ prompt, question }) => {
      const { id, question: text } = questions[question]!;
      const instruction = promptText(definition.instruction[prompt]!.pos, model);
      const messages = chatOf(instruction, text, with_system);
      return Array.from({ length: options.samples }, (_, sample) => {
        const key = `${role}_p${prompt}_q${id}_s${sample}`;
        return {
          key,
          role,
          ...group,
          prompt,
          question: id,
          sample,
          seed: hashSeed(options.seed, key),
          messages,
        };
      });
    });
    return planned.slice(0, options.limit);
  });
}

/** Which questions each prompt of a role is asked, prompts taking turns so that a cut-off list spreads evenly. */
function pairs(
  role: string,
  n_prompts: number,
  n_questions: number,
  options: PlanOptions,
): { prompt: number; question: number }[] {
  const all = role === DEFAULT_ROLE || options.questions_per_instruction === undefined;
  const each = all ? n_questions : Math.min(n_questions, options.questions_per_instruction!);
  const first = all ? 0 : hashSeed(0, role) % n_questions;
  const stride = all ? 1 : each;
  return Array.from({ length: each * n_prompts }, (_, k) => {
    const prompt = k % n_prompts;
    const turn = Math.floor(k / n_prompts);
    return { prompt, question: (first + prompt * stride + turn) % n_questions };
  });
}

function promptText(text: string, model: Pick<Model, "id">): string {
  return text.replaceAll("{model_name}", model.id);
}

/** The chat of one question; an empty instruction means no system message. */
function chatOf(instruction: string, question: string, with_system: boolean): Message[] {
  if (instruction === "") return [{ role: "user", content: question }];
  if (!with_system) return [{ role: "user", content: `${instruction}\n\n${question}` }];
  return [
    { role: "system", content: instruction },
    { role: "user", content: question },
  ];
}

/** Whether the model's chat template carries a system message: it renders, and the text is in it. */
export function hasSystemRole(model: Pick<Model, "tokenizer">): boolean {
  const user: Message = { role: "user", content: "Hello" };
  // Without a usable template this throws, which is the error to show.
  model.tokenizer.renderChat([user]);
  const mark = "a system message of its own";
  try {
    return model.tokenizer.renderChat([{ role: "system", content: mark }, user]).includes(mark);
  } catch {
    return false;
  }
}
