import { CapstanError, show } from "../../models/index.ts";
import { basename, fileKind, joinPath, listFolder, readText } from "../platform/index.ts";
import { checkData } from "../schemas/index.ts";
import type { Model } from "../types.ts";
import { parseJson, parseJsonLines, type Recipe, readJson, readModelText } from "./recipe.ts";

/** A role in the published format: five system prompts, and what a judge is told. */
export interface RoleDefinition {
  instruction: { pos: string; neg?: string }[];
  questions?: string[];
  eval_prompt?: string;
  /** Roles of one group share a colour in plots. */
  group?: string;
}

export interface Question {
  id: number | string;
  question: string;
}

/** The role that is the Assistant itself. */
export const DEFAULT_ROLE = "default";

/** The published neutral prompts: `default` when the given roles have none. */
const DEFAULT_DEFINITION: RoleDefinition = {
  instruction: [
    { pos: "" },
    { pos: "You are an AI assistant." },
    { pos: "You are a large language model." },
    { pos: "You are {model_name}." },
    { pos: "Respond as yourself." },
  ],
};

/** A folder of `<role>.json`, definitions by name, or names out of the model's own recipe. */
export type RolesInput = string | readonly string[] | Readonly<Record<string, RoleDefinition>>;
/** A file of JSON lines, or the questions. */
export type QuestionsInput = string | readonly (string | Question)[];

/**
 * The roles of a collection by name, `default` first and always there, the others in alphabetical order.
 *
 * @throws CapstanError `not_found`, `bad_file`, `bad_request`
 */
export async function readRoles(
  input: RolesInput | undefined,
  model: Pick<Model, "files">,
  recipe: Recipe,
): Promise<Map<string, RoleDefinition>> {
  const found =
    typeof input === "string"
      ? await rolesOfFolder(input)
      : input === undefined || isNames(input)
        ? await rolesOfRecipe(input, model, recipe)
        : Object.entries(input).map(([name, value]) => [name, checkRole(value, `role ${name}`)] as const);
  const roles = new Map(found);
  const names = [...roles.keys()].filter((name) => name !== DEFAULT_ROLE).sort();
  if (names.length === 0) throw noRoles("at least one role beside the default", "none");
  const assistant = roles.get(DEFAULT_ROLE) ?? DEFAULT_DEFINITION;
  return new Map([[DEFAULT_ROLE, assistant], ...names.map((name) => [name, roles.get(name)!] as const)]);
}

function isNames(input: RolesInput): input is readonly string[] {
  return Array.isArray(input);
}

type RoleEntry = readonly [string, RoleDefinition];

async function rolesOfFolder(folder: string): Promise<RoleEntry[]> {
  if ((await fileKind(folder)) !== "folder") throw noRoles(`a folder of <role>.json at ${folder}`, "none");
  const files = (await listFolder(folder)).filter((name) => name.endsWith(".json"));
  return await Promise.all(
    files.map(async (file) => {
      const path = joinPath(folder, file);
      return [basename(file).slice(0, -5), checkRole(parseJson(await readText(path), path), path)] as const;
    }),
  );
}

/** Roles of the model's folder: all that its recipe names, or some of them. */
async function rolesOfRecipe(
  names: readonly string[] | undefined,
  model: Pick<Model, "files">,
  recipe: Recipe,
): Promise<RoleEntry[]> {
  const { files } = model;
  if (files === null || recipe.roles === undefined) {
    throw noRoles("roles: a folder of <role>.json, or definitions", "a model whose capstan.json names none");
  }
  const known = recipe.role_names ?? (await judgedRoles(model, recipe));
  const unknown = names?.find((name) => name !== DEFAULT_ROLE && !known.includes(name));
  if (unknown !== undefined) {
    throw noRoles(`roles of the model's recipe (${known.slice(0, 8).join(", ")}, ...)`, show(unknown));
  }
  const chosen = new Set([DEFAULT_ROLE, ...(names ?? known)]);
  const entries = await Promise.all(
    [...chosen].map(async (name) => {
      const file = `${recipe.roles}/${name}.json`;
      // The judge may know more roles than the folder holds, and the default may be the published one.
      if ((await files.size(file)) === undefined) return [];
      return [[name, checkRole(await readJson(files, file), file)] as const];
    }),
  );
  return entries.flat();
}

async function judgedRoles(model: Pick<Model, "files">, recipe: Recipe): Promise<string[]> {
  if (recipe.judge === undefined) throw noRoles("role_names in capstan.json, or a judge", "neither");
  const judge = (await readJson(model.files!, recipe.judge)) as { roles?: Record<string, unknown> };
  return Object.keys(judge.roles ?? {});
}

function checkRole(value: unknown, where: string): RoleDefinition {
  checkData(value, "role", where);
  return value as RoleDefinition;
}

function noRoles(need: string, found: string): CapstanError {
  return new CapstanError("bad_request", { action: "collect", need, found });
}

/** The questions asked of every role. Throws `bad_request` when there are none, `bad_file` for a bad line. */
export async function readQuestions(
  input: QuestionsInput | undefined,
  model: Pick<Model, "files">,
  recipe: Recipe,
): Promise<Question[]> {
  const raw = await rawQuestions(input, model, recipe);
  const questions = raw.map((value, index) => checkQuestion(value, index));
  if (questions.length === 0) throw noRoles("at least one question", "none");
  const repeated = questions.find(({ id }, i) => questions.findIndex((other) => other.id === id) !== i);
  if (repeated !== undefined)
    throw noRoles("questions with ids of their own", `id ${show(repeated.id)} twice`);
  return questions;
}

async function rawQuestions(
  input: QuestionsInput | undefined,
  model: Pick<Model, "files">,
  recipe: Recipe,
): Promise<readonly unknown[]> {
  if (typeof input === "string") return parseJsonLines(await readText(input), input);
  if (input !== undefined) return input;
  if (model.files === null || recipe.questions === undefined) {
    throw noRoles("questions: a file of JSON lines, or a list", "a model whose capstan.json names none");
  }
  return parseJsonLines(await readModelText(model.files, recipe.questions), recipe.questions);
}

function checkQuestion(value: unknown, index: number): Question {
  if (typeof value === "string") return { id: index, question: value };
  checkData(value, "question", `question ${index}`);
  const { id, question } = value as Question;
  return { id, question };
}
