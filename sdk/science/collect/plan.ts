import { itemAt } from "../../../models/certain.ts";
import type { Message, Model, TemplateArgs } from "../../types.ts";
import { hashSeed } from "../numbers/random.ts";
import { DEFAULT_ROLE } from "../recipe/default_role.ts";
import type { Question, RoleDefinition } from "../recipe/roles.ts";
import type { ResponseRecord } from "../run/records.ts";

/** A response to be made: everything but what the model will say. */
export type PlannedResponse = Omit<ResponseRecord, "text" | "tokens" | "finish_reason" | "activation">;

export interface PlanOptions {
  seed: number;
  samples: number;
  /** What `{model_name}` stands for. */
  model_name: string;
  template_args?: TemplateArgs;
  /** Questions a system prompt of a role is asked, by turns; the default role is asked all. Default: all. */
  questions_per_instruction?: number;
  /** Questions a role is asked, spread over the list from a start of its own. Default: all. */
  questions_per_role?: number;
  /** At most this many responses a role. */
  limit?: number;
}

/**
 * Every response of a collection: roles x system prompts x questions x samples (paper, section 2.1), made when they are
 * iterated, as often as one likes. A response's key and seed depend on nothing but itself and the run's seed, so any
 * part of the plan, in any order, gives the same responses.
 */
export function planResponses(
  model: Pick<Model, "id" | "tokenizer">,
  roles: ReadonlyMap<string, RoleDefinition>,
  questions: readonly Question[],
  options: PlanOptions,
): Iterable<PlannedResponse> {
  const with_system = hasSystemRole(model, options.template_args);
  return {
    *[Symbol.iterator]() {
      for (const [role, definition] of roles) {
        const planned = roleResponses(role, definition, questions, options, with_system);
        let left = options.limit ?? Number.POSITIVE_INFINITY;
        for (const response of planned) if (left-- > 0) yield response;
      }
    },
  };
}

function* roleResponses(
  role: string,
  definition: RoleDefinition,
  questions: readonly Question[],
  options: PlanOptions,
  with_system: boolean,
): Generator<PlannedResponse> {
  const asked = questionsOf(role, questions, options.questions_per_role);
  const group = definition.group === undefined ? {} : { group: definition.group };
  for (const { prompt, question } of pairs(role, definition.instruction.length, asked.length, options)) {
    const { id, question: text } = itemAt(asked, question);
    const instruction = itemAt(definition.instruction, prompt).pos.replaceAll(
      "{model_name}",
      options.model_name,
    );
    const messages = chatOf(instruction, text, with_system);
    for (let sample = 0; sample < options.samples; sample++) {
      const key = `${role}_p${prompt}_q${id}_s${sample}`;
      yield {
        key,
        role,
        ...group,
        prompt,
        question: id,
        sample,
        seed: hashSeed(options.seed, key),
        messages,
      };
    }
  }
}

/** The questions that a role is asked: spread evenly over the list, from a start of its own. */
function questionsOf(
  role: string,
  questions: readonly Question[],
  most: number | undefined,
): readonly Question[] {
  if (most === undefined || most >= questions.length) return questions;
  const start = role === DEFAULT_ROLE ? 0 : hashSeed(1, role) / 2 ** 32;
  const step = questions.length / most;
  return Array.from({ length: most }, (_, i) => itemAt(questions, Math.floor((i + start) * step)));
}

/** Which questions each prompt of a role is asked, prompts taking turns so that a cut-off list spreads evenly. */
function pairs(
  role: string,
  n_prompts: number,
  n_questions: number,
  options: PlanOptions,
): { prompt: number; question: number }[] {
  const most = role === DEFAULT_ROLE ? undefined : options.questions_per_instruction;
  const all = most === undefined;
  const each = all ? n_questions : Math.min(n_questions, most);
  const first = all ? 0 : hashSeed(0, role) % n_questions;
  const stride = all ? 1 : each;
  return Array.from({ length: each * n_prompts }, (_, k) => {
    const prompt = k % n_prompts;
    const turn = Math.floor(k / n_prompts);
    return { prompt, question: (first + prompt * stride + turn) % n_questions };
  });
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
export function hasSystemRole(model: Pick<Model, "tokenizer">, template_args: TemplateArgs = {}): boolean {
  const user: Message = { role: "user", content: "Hello" };
  // Without a usable template this throws, which is the error to show.
  model.tokenizer.renderChat([user], template_args);
  const mark = "a system message of its own";
  try {
    return model.tokenizer
      .renderChat([{ role: "system", content: mark }, user], template_args)
      .includes(mark);
  } catch {
    return false;
  }
}
