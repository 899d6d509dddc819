import { CapstanError, type ErrorCode, type ErrorParts } from "../../models/index.ts";

// Work in another runtime: a task goes there as JSON, and its answer comes back as JSON, whatever carries them.

/** What a runtime can be asked for. Arguments and results are JSON. */
export type Tasks = Readonly<Record<string, (args: never) => Promise<unknown>>>;

export type TaskArgs<All extends Tasks, Name extends keyof All> = Parameters<All[Name]>[0];
export type TaskResult<All extends Tasks, Name extends keyof All> = Awaited<ReturnType<All[Name]>>;

/** A task by its name. */
export interface Task {
  name: string;
  args: unknown;
}

/** What became of it. */
export type Answer =
  | { result: unknown }
  | { error: { code: ErrorCode; parts: ErrorParts } | { text: string } };

/** Runs a task here; its error is an answer, too. */
export async function runTask(tasks: Tasks, { name, args }: Task): Promise<Answer> {
  try {
    return { result: await taskOf(tasks, name)(args as never) };
  } catch (error) {
    if (error instanceof CapstanError) return { error: { code: error.code, parts: error.parts } };
    return { error: { text: String(error) } };
  }
}

function taskOf(tasks: Tasks, name: string): (args: never) => Promise<unknown> {
  const task = Object.hasOwn(tasks, name) ? tasks[name] : undefined;
  if (task !== undefined) return task;
  const need = Object.keys(tasks).join(" or ");
  throw new CapstanError("bad_request", { action: "run a task", need, found: String(name) });
}

/** The same with both as text. */
export async function runTaskText(tasks: Tasks, text: string): Promise<string> {
  return toJson(await runTask(tasks, fromJson(text) as Task));
}

/** A worker of workerd that runs the task of each request. */
export function taskWorker(tasks: Tasks): { fetch(request: Request): Promise<Response> } {
  return { fetch: async (request) => new Response(await runTaskText(tasks, await request.text())) };
}

/** The result of an answer; throws the error that it is instead. */
export function resultOf(answer: Answer): unknown {
  if ("result" in answer) return answer.result;
  const { error } = answer;
  throw "text" in error ? new Error(error.text) : new CapstanError(error.code, error.parts);
}

/** The same of its text. */
export function resultOfText(text: string): unknown {
  return resultOf(fromJson(text) as Answer);
}

const NOT_FINITE = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
};

/** JSON with the numbers that it lacks, which the reports of broken devices are full of. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === "number" && !Number.isFinite(part) ? { not_finite: String(part) } : part,
  );
}

export function fromJson(text: string): unknown {
  return JSON.parse(text, (_, part: unknown) => {
    const name = (part as { not_finite?: keyof typeof NOT_FINITE } | null)?.not_finite;
    return name === undefined ? part : NOT_FINITE[name];
  });
}
