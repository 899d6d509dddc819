import type { Message, Model } from "../../types.ts";
import { checkCheck, type TextCheck } from "../evaluate/checks.ts";
import { checkData } from "../schemas/index.ts";
import { readJson, readRecipe } from "./recipe.ts";

/** A prompt worth showing, and when its reply counts as given in. */
export interface DemoCase {
  title: string;
  messages: Message[];
  check: TextCheck;
}

/** `readDemoCases` of `verbs.ts`. */
export async function readDemoCases(model: Pick<Model, "files">): Promise<DemoCase[]> {
  const { demo } = await readRecipe(model);
  if (demo === undefined || model.files === null) return [];
  const list = await readJson(model.files, demo);
  checkData(list, "demo", demo);
  return await Promise.all(
    (list as (Omit<DemoCase, "title"> & { title?: string })[]).map(async (one, index) => {
      const where = `${demo} case ${index + 1}`;
      await checkCheck(one.check, where);
      return { ...one, title: one.title ?? where };
    }),
  );
}
