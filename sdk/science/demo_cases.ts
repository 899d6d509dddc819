import { CapstanError, show } from "../../models/index.ts";
import type { Message, Model } from "../types.ts";
import { type Check, readCheck } from "./checks.ts";
import { readJson, readRecipe } from "./recipe.ts";
import { checkMessages } from "./suites.ts";

/** A prompt worth showing, and when its reply counts as given in. */
export interface DemoCase {
  title: string;
  messages: Message[];
  check: Check;
}

/**
 * The prompts that a model's recipe offers to show; none when it names none.
 *
 * @throws CapstanError `not_found`, `bad_file`
 */
export async function readDemoCases(model: Pick<Model, "files">): Promise<DemoCase[]> {
  const { demo } = await readRecipe(model);
  if (demo === undefined || model.files === null) return [];
  const list = await readJson(model.files, demo);
  if (!Array.isArray(list)) {
    const parts = { action: `read ${demo}`, need: "a list of { title, messages, check }", found: show(list) };
    throw new CapstanError("bad_file", parts);
  }
  return list.map((value: unknown, index) => {
    const where = `${demo} case ${index + 1}`;
    const { title, messages, check } = (value ?? {}) as Partial<Record<keyof DemoCase, unknown>>;
    return {
      title: String(title ?? where),
      messages: checkMessages(messages, where),
      check: readCheck(check, where),
    };
  });
}
