import type { ResponseRecord } from "../run/records.ts";
import type { Judge } from "./judge.ts";

/** What a judge would be asked. */
export interface JudgePlan {
  /** The judge's id. */
  judge: string;
  /** Requests; 0 for a judge that asks nobody. */
  calls: number;
  /** Responses that it scored already. */
  scored: number;
  /** Requests by role. */
  roles: Record<string, number>;
  /** Characters of all prompts together; some four are a token of English. */
  characters: number;
  /** Tokens that the replies have at the most. */
  reply_tokens: number;
  /** The first request as it would be put; null where there is none. */
  example: { key: string; prompt: string } | null;
}

/** The part of a response that a request is made of. */
export type Asked = Pick<ResponseRecord, "key" | "role" | "question" | "messages" | "text"> & {
  /** Stands for the text of a response that is yet to be made, in the example alone. */
  unknown?: string;
};

/**
 * Plans the requests about some responses.
 *
 * @param missing those that are not scored yet
 * @param total the responses in all
 * @throws CapstanError `judge` for roles that it could not judge
 */
export async function planOf(judge: Judge, missing: AsyncIterable<Asked>, total: number): Promise<JudgePlan> {
  const roles: Record<string, number> = {};
  let [calls, waiting, characters] = [0, 0, 0];
  let example: JudgePlan["example"] = null;
  for await (const response of missing) {
    waiting += 1;
    if (judge.request === undefined) continue;
    if (roles[response.role] === undefined) judge.checkRoles?.([response.role]);
    roles[response.role] = (roles[response.role] ?? 0) + 1;
    calls += 1;
    characters += judge.request(response).length;
    const { key, text, unknown = text } = response;
    example ??= { key, prompt: judge.request({ ...response, text: unknown }) };
  }
  return {
    judge: judge.id,
    calls,
    scored: total - waiting,
    roles,
    characters,
    reply_tokens: calls * (judge.max_tokens ?? 0),
    example,
  };
}
