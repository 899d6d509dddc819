import { entryOf } from "../../../models/certain.ts";
import { CapstanError } from "../../../models/index.ts";
import { promptTokens } from "../../inference/prompt.ts";
import type { Model, TemplateArgs } from "../../types.ts";
import type { Condition } from "./conditions.ts";
import type { SuiteItem } from "./suites.ts";

/** A reply to be made. */
export interface PlannedReply {
  item: SuiteItem;
  condition: Condition;
}

/**
 * Every reply of an evaluation. Condition by condition, so that a batch shares few sets of hooks and prefixes are
 * reused.
 */
export function planReplies(items: readonly SuiteItem[], conditions: readonly Condition[]): PlannedReply[] {
  return conditions.flatMap((condition) => items.map((item) => ({ item, condition })));
}

/** At most so many items of each group of a suite. */
export function limited(items: readonly SuiteItem[], limit: number | undefined): SuiteItem[] {
  if (limit === undefined) return [...items];
  const taken = new Map<string, number>();
  return items.filter(({ suite, group }) => {
    const name = JSON.stringify([suite, group]);
    taken.set(name, (taken.get(name) ?? 0) + 1);
    return entryOf(taken, name) <= limit;
  });
}

/**
 * Refuses, before anything is generated, a prompt that the model cannot be given: too long for its context, or
 * against its chat template.
 *
 * @throws CapstanError `context_overflow`, and what the template throws; names the item
 */
export function checkPrompts(model: Model, items: readonly SuiteItem[], template_args: TemplateArgs): void {
  for (const item of items) {
    const action = `evaluate item ${item.id} of suite ${item.suite}`;
    const n_tokens = lengthOf(model, item, template_args, action);
    if (n_tokens < model.n_ctx) continue;
    const need = `a prompt of at most ${model.n_ctx - 1} tokens (n_ctx ${model.n_ctx})`;
    const fix = "Shorten it, or load the model with a larger n_ctx.";
    throw new CapstanError("context_overflow", { action, need, found: `${n_tokens}`, fix });
  }
}

function lengthOf(model: Model, item: SuiteItem, template_args: TemplateArgs, action: string): number {
  try {
    return promptTokens(model, item.messages, { template_args }).length;
  } catch (cause) {
    if (!(cause instanceof CapstanError)) throw cause;
    throw new CapstanError(
      cause.code,
      { ...cause.parts, action: `${action}: ${cause.parts.action}` },
      { cause },
    );
  }
}
