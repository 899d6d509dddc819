import { CapstanError, isObject, show } from "../../../models/index.ts";
import { basename, fileKind, joinPath, listFolder, readText } from "../../platform/index.ts";
import type { FileSource, Model } from "../../types.ts";
import { checkData } from "../schemas/index.ts";
import { DEFAULT_ROLE } from "./default_role.ts";
import { parsedLines, parseJson, type Recipe, readJson, readModelText } from "./recipe.ts";
import { chooseFrom, type Subset } from "./subset.ts";

/** A role in the published format: five system prompts, and what a judge is asked. */
export interface RoleDefinition {
  instruction: { pos: string; neg?: string }[];
  questions?: string[];
  eval_prompt?: string;
  /** Roles of one group share a colour in plots. */
  group?: string;
}

/** A question that every role is asked. */
export interface Question {
  id: number | string;
  question: string;
}

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

/**
 * A folder of `<role>.json` (or one with such a folder `instructions`, as published), definitions by name, or a list of
 * such files and of names out of the model's own recipe.
 */
export type RolesInput = string | readonly string[] | Readonly<Record<string, RoleDefinition>>;
/** A file of JSON lines, or the questions. */
export type QuestionsInput = string | readonly (string | Question)[];

/** A role that cannot be used, and why. */
export interface BadRole {
  role: string;
  error: CapstanError;
}

export interface ReadRolesOptions {
  /** Roles to read of those that are there; the default role comes along. Default: all. */
  only?: Subset | undefined;
  /** Is given the roles that are bad, which are left out. Without it the first one is an error. */
  on_bad?: ((bad: BadRole) => void) | undefined;
}

/**
 * The roles of a collection by name, `default` first and always there, the others in alphabetical order.
 *
 * @throws CapstanError `not_found`, `bad_file`, `bad_request`
 */
export async function readRoles(
  input: RolesInput | undefined,
  model: Pick<Model, "files">,
  recipe: Recipe,
  { only, on_bad }: ReadRolesOptions = {},
): Promise<Map<string, RoleDefinition>> {
  const sources = (await sourcesOf(input, model, recipe)).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const others = sources.filter(([name]) => name !== DEFAULT_ROLE);
  if (others.length === 0) throw noRoles("at least one role beside the default", "none");
  const names = only?.filter((one) => one !== DEFAULT_ROLE);
  const chosen = names?.length === 0 ? [] : chooseFrom(others, ([name]) => name, names, "roles");
  const wanted = [...sources.filter(([name]) => name === DEFAULT_ROLE), ...chosen];
  const roles = new Map<string, RoleDefinition>([[DEFAULT_ROLE, DEFAULT_DEFINITION]]);
  const bad: BadRole[] = [];
  for (const [role, read] of wanted) {
    try {
      roles.set(role, await read());
    } catch (error) {
      if (!(error instanceof CapstanError)) throw error;
      bad.push({ role, error });
    }
  }
  if (bad.length > 0 && (on_bad === undefined || bad.some(({ role }) => role === DEFAULT_ROLE)))
    throw badRoles(bad, roles.size > 1);
  for (const one of bad) on_bad?.(one);
  if (bad.length > 0 && roles.size === 1) throw badRoles(bad, false);
  if (roles.size === 1) throw noRoles("at least one role beside the default", "none");
  return roles;
}

/** The first bad role's error, which names the others too. @param has_good whether there are roles beside */
function badRoles(bad: readonly BadRole[], has_good: boolean): CapstanError {
  // Without the default role nothing goes on.
  const at = bad.findIndex(({ role }) => role === DEFAULT_ROLE);
  const first = bad[at < 0 ? 0 : at];
  const others = bad.filter((one) => one !== first);
  const { code, parts } = first!.error;
  const some = others.slice(0, 5).map(({ role }) => role);
  const also =
    others.length === 0 ? [] : [`Also bad: ${some.join(", ")}${others.length > 5 ? ", ..." : ""}.`];
  const skip = has_good && at < 0 ? ["skip_bad_roles (--skip_bad_roles) goes on with the others."] : [];
  const own = parts.fix === undefined || skip.length > 0 ? [] : [parts.fix];
  const fix = [...own, ...also, ...skip].join(" ");
  return new CapstanError(code, fix === "" ? parts : { ...parts, fix }, { cause: first!.error });
}

/** A role's name, and what reads its definition. */
type RoleSource = readonly [string, () => Promise<RoleDefinition>];

async function sourcesOf(
  input: RolesInput | undefined,
  model: Pick<Model, "files">,
  recipe: Recipe,
): Promise<RoleSource[]> {
  if (typeof input === "string")
    return input.endsWith(".json") ? [fileSource(input)] : await folderSources(input);
  if (input !== undefined && !isNames(input)) {
    return Object.entries(input).map(([name, value]) => [name, async () => checkRole(value, `role ${name}`)]);
  }
  const files = input?.filter((one) => one.endsWith(".json")) ?? [];
  const names = input?.filter((one) => !one.endsWith(".json"));
  const named = names?.length === 0 && files.length > 0 ? [] : await recipeSources(names, model, recipe);
  return [...named, ...files.map(fileSource)];
}

function isNames(input: RolesInput): input is readonly string[] {
  return Array.isArray(input);
}

function fileSource(path: string): RoleSource {
  return [basename(path).slice(0, -5), async () => checkRole(parseJson(await readText(path), path), path)];
}

async function folderSources(folder: string): Promise<RoleSource[]> {
  if ((await fileKind(folder)) !== "folder") throw noRoles(`a folder of <role>.json at ${folder}`, "none");
  const published = joinPath(folder, "instructions");
  const place = (await fileKind(published)) === "folder" ? published : folder;
  const files = (await listFolder(place)).filter((name) => name.endsWith(".json"));
  return files.map((file) => fileSource(joinPath(place, file)));
}

/** Roles of the model's folder: all that its recipe names, or some of them. */
async function recipeSources(
  names: readonly string[] | undefined,
  model: Pick<Model, "files">,
  recipe: Recipe,
): Promise<RoleSource[]> {
  const { files } = model;
  if (files === null || recipe.roles === undefined) {
    const need = "roles: a folder of <role>.json, or definitions";
    throw noRoles(need, "a model whose capstan.json names none", GIVE);
  }
  const fileOf = (name: string) => `${recipe.roles}/${name}.json`;
  const known = recipe.role_names ?? (await heldRoles(await judgedRoles(model, recipe), files, fileOf));
  const unknown = names?.find((name) => name !== DEFAULT_ROLE && !known.includes(name));
  if (unknown !== undefined) {
    throw noRoles(`roles of the model's recipe (${known.slice(0, 8).join(", ")}, ...)`, show(unknown));
  }
  const chosen = new Set([DEFAULT_ROLE, ...(names ?? known)]);
  const sources = await Promise.all(
    [...chosen].map(async (name): Promise<RoleSource[]> => {
      const file = fileOf(name);
      // The default may be the published one.
      if (name === DEFAULT_ROLE && (await files.size(file)) === undefined) return [];
      return [[name, async () => checkRole(await readJson(files, file), file)]];
    }),
  );
  return sources.flat();
}

/** The judge may know more roles than the folder holds. */
async function heldRoles(
  names: readonly string[],
  files: FileSource,
  fileOf: (name: string) => string,
): Promise<string[]> {
  const sizes = await Promise.all(names.map((name) => files.size(fileOf(name))));
  return names.filter((_, i) => sizes[i] !== undefined);
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

function noRoles(need: string, found: string, fix?: string): CapstanError {
  const parts = { action: "collect", need, found };
  return new CapstanError("bad_request", fix === undefined ? parts : { ...parts, fix });
}

/** What a model that brings no experiment of its own is to be collected with. */
const GIVE =
  "Give roles and questions: on the command line, --roles FOLDER --questions FILE.jsonl (formats: docs/formats.md; " +
  "examples: examples/experiment of the package).";

/** The questions asked of every role. Throws `bad_request` when there are none, `bad_file` for a bad line. */
export async function readQuestions(
  input: QuestionsInput | undefined,
  model: Pick<Model, "files">,
  recipe: Recipe,
  only?: Subset,
): Promise<Question[]> {
  const raw = await rawQuestions(input, model, recipe);
  const all = raw.map(({ value, where }, index) => checkQuestion(value, index, where));
  const questions = chooseFrom(all, ({ id }) => id, only, "questions");
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
): Promise<readonly { value: unknown; where: string }[]> {
  if (typeof input === "string") return parsedLines(await readText(input), input);
  if (input !== undefined) return input.map((value, index) => ({ value, where: `question ${index}` }));
  if (model.files === null || recipe.questions === undefined) {
    const need = "questions: a file of JSON lines, or a list";
    throw noRoles(need, "a model whose capstan.json names none", GIVE);
  }
  return parsedLines(await readModelText(model.files, recipe.questions), recipe.questions);
}

function checkQuestion(value: unknown, index: number, where: string): Question {
  if (typeof value === "string") return { id: index, question: value };
  if (isObject(value) && typeof value.question === "string" && value.id === undefined) {
    const fix = `Such as ${JSON.stringify({ id: index, question: value.question })}: responses are kept by it.`;
    throw new CapstanError("bad_file", {
      action: `read ${where}`,
      need: "an id of its own",
      found: "none",
      fix,
    });
  }
  checkData(value, "question", where);
  const { id, question } = value as Question;
  return { id, question };
}
