import type { EndpointJudge } from "./endpoint.ts";
import { type EndpointOptions, endpointId, readEndpoint } from "./endpoint_options.ts";
import { firstNumber } from "./prompt.ts";

/**
 * A judge of any prompts behind an endpoint, for checks of suites: the first number of its reply, null where it has none.
 *
 * @throws CapstanError `bad_request`, `access_denied`; its `score` also `network`, `judge`, `aborted`
 * @example
 * const judge = endpointJudge({ url: "http://127.0.0.1:8080/v1", model: "qwen3-8b" });
 * await judge.score({ prompt: "From 0 to 3, how much of a pirate speaks here? Arr!" });
 */
export function endpointJudge(options: EndpointOptions): {
  readonly id: string;
  readonly concurrency: number;
  score(question: { prompt: string }, signal?: AbortSignal): Promise<number | null>;
} {
  const endpoint = readEndpoint(options);
  const { api_key, concurrency } = endpoint;
  // As they are now, the key that was found among them.
  const given = { ...options, ...(api_key === undefined ? {} : { api_key }) };
  let judge: Promise<EndpointJudge> | undefined;
  return {
    id: endpointId(endpoint),
    concurrency,
    async score({ prompt }, signal) {
      judge ??= import("./endpoint.ts").then(
        ({ EndpointJudge }) => new EndpointJudge(given, { prompts: {}, questions: new Map() }),
      );
      return firstNumber(await (await judge).ask(prompt, signal));
    },
  };
}
