import { CapstanError, show } from "../../models/index.ts";
import type { Message, Model } from "../types.ts";
import { type Check, readCheck } from "./checks.ts";
import { readJson, readRecipe } from "./recipe.ts";
import { checkMessages } from "./suites.ts";

/** A prompt worth showing, and when it counts as given in. */
export interface DemoCase {
  title: string;
  messages: Message[];
  check: Check;
}

/** The prompts that the model's recipe shows; none when it names none. Throws `bad_file`. */
export async function readDemoCases(model: Pick<Model, "files">): Promise<DemoCase[]> {
  const { demo } = await readRecipe(model);
  if (demo === undefined || model.files === null) return [];
  const list = await readJson(model.files, demo);
  if (!Array.isArray(list)) {
    throw new CapstanError("bad_file", { action: `read ${demo}`, need: "a list", found: show(list) });
  }
  return list.map((value: Partial<DemoCase> | null, index) => {
    const where = `${demo} item ${index + 1}`;
    const messages = checkMessages(value?.messages, where);
    return { title: String(value?.title ?? ""), messages, check: readCheck(value?.check, where) };
  });
}
