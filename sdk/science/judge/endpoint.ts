import { abortedError, CapstanError } from "../../../models/index.ts";
import { discard, Passing, reasonOf, retryAfter } from "../../checkpoint/source/http_answers.ts";
import { onAbort } from "../../common/abort.ts";
import type { ResponseRecord } from "../run/records.ts";
import { errorText, NotChat, replyText } from "./chat_reply.ts";
import { type Endpoint, type EndpointOptions, endpointId, readEndpoint } from "./endpoint_options.ts";
import type { Judge, JudgeContext, Score } from "./judge.ts";
import { CLOCK, type Clock, Pacer } from "./pace.ts";
import { fillPrompt, hasAnswer, parseScore, promptHash } from "./prompt.ts";

/** What another try may change. */
const RETRIED = [408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529];
/** Statuses that may be of one request alone: one that is too long, or that a filter refuses. */
const ONE_ALONE = [400, 413, 422];

/** The longest wait that a server may ask for, in milliseconds. */
const LONGEST_ASKED = 600_000;

/** How requests are put, until the server says that it wants them otherwise. */
interface Dialect {
  tokens: "max_tokens" | "max_completion_tokens";
  temperature: boolean;
  stream: boolean;
}

/** The status of an answer that no further try changes, with what the server says. */
class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(`status ${status}${message === "" ? "" : ` (${message})`}`);
    this.status = status;
  }
}

/** A judge behind an OpenAI-compatible endpoint. It asks each role's own `eval_prompt`, as published. */
export class EndpointJudge implements Judge {
  /** The model, where it is asked, and the settings that shape its answers. */
  readonly id: string;
  readonly concurrency: number;
  readonly max_tokens: number;
  readonly #endpoint: Endpoint;
  readonly #context: JudgeContext;
  readonly #pacer: Pacer;
  readonly #dialect: Dialect = { tokens: "max_tokens", temperature: true, stream: false };
  #waiting = false;

  /** @throws CapstanError `bad_request`, `access_denied` for a key that cannot be sent */
  constructor(given: EndpointOptions, context: JudgeContext, clock: Clock = CLOCK) {
    this.#endpoint = readEndpoint(given);
    this.#context = context;
    this.#pacer = new Pacer(this.#endpoint.rate, clock);
    const { max_tokens, concurrency } = this.#endpoint;
    this.id = endpointId(this.#endpoint);
    this.concurrency = concurrency;
    this.max_tokens = max_tokens;
  }

  checkRoles(roles: readonly string[]): void {
    const lacking = roles.filter((role) => !hasAnswer(this.#context.prompts[role] ?? ""));
    if (lacking.length === 0) return;
    throw new CapstanError("judge", {
      action: `judge responses by ${this.#endpoint.model}`,
      need: "an eval_prompt with {question} and {answer} in the file of every role",
      found: `none for ${lacking.length} of ${roles.length}: ${lacking.join(", ")}`,
      fix: 'Add it, leave these roles out, or judge by "all", by rules or by a function.',
    });
  }

  promptOf(role: string): string {
    return promptHash(this.#context.prompts[role] ?? "");
  }

  /** What is asked about a response. */
  request(response: Pick<ResponseRecord, "role" | "question" | "messages" | "text">): string {
    const question = this.#context.questions.get(String(response.question)) ?? lastUserText(response);
    return fillPrompt(this.#context.prompts[response.role] ?? "", question, response.text);
  }

  async score(response: ResponseRecord, signal?: AbortSignal): Promise<Score> {
    try {
      const reply = await this.#reply(this.request(response), signal);
      return { score: parseScore(reply), reply: this.#kept(reply) };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (!ONE_ALONE.includes(error.status)) throw this.#refusal(error);
      return { score: null, error: this.#hide(error.message), refusal: this.#refusal(error) };
    }
  }

  /**
   * Finds out before hours of generating whether the endpoint is there and takes the key, by its list of models, which
   * costs nothing. What else it answers is no matter: not every server has the list.
   *
   * @throws CapstanError `network`, `access_denied`, `aborted`
   */
  async check(signal?: AbortSignal): Promise<void> {
    const url = this.#endpoint.address.replace(/\/chat\/completions(?=$|\?)/, "/models");
    await this.#persist(Math.min(2, this.#endpoint.retries), signal, async (request_signal) => {
      const response = await fetch(url, {
        headers: this.#headers(),
        redirect: "manual",
        signal: request_signal,
      });
      await discard(response, undefined);
      if (response.status === 401) throw this.#refusal(new Refused(401, ""));
    });
  }

  /** The reply to any prompt. @throws CapstanError `network`, `judge`, `access_denied`, `aborted` */
  async ask(prompt: string, signal?: AbortSignal): Promise<string> {
    try {
      return await this.#reply(prompt, signal);
    } catch (error) {
      throw error instanceof Refused ? this.#refusal(error) : error;
    }
  }

  /** As `ask`, and throws Refused as it is. */
  async #reply(prompt: string, signal: AbortSignal | undefined): Promise<string> {
    return await this.#persist(this.#endpoint.retries, signal, async (request_signal) => {
      for (;;) {
        const said = { ...this.#dialect };
        try {
          return await this.#request(prompt, said, request_signal);
        } catch (error) {
          if (!(error instanceof Refused) || !this.#adapt(said, error)) throw error;
          await this.#pacer.turn(signal);
        }
      }
    });
  }

  async #request(prompt: string, dialect: Dialect, signal: AbortSignal): Promise<string> {
    const { address, model, max_tokens, temperature } = this.#endpoint;
    const response = await fetch(address, {
      method: "POST",
      headers: { "content-type": "application/json", ...this.#headers() },
      body: JSON.stringify({
        model,
        messages: [{ role: "user", content: prompt }],
        [dialect.tokens]: max_tokens,
        ...(dialect.temperature ? { temperature } : {}),
        ...(dialect.stream ? { stream: true } : {}),
      }),
      // Elsewhere the key is none of the server's, and a POST may come out as a GET.
      redirect: "manual",
      signal,
    });
    const { status } = response;
    if (response.ok) return await replyText(response);
    const said = await errorText(response);
    if (!RETRIED.includes(status)) throw new Refused(status, said);
    const wait = retryAfter(response);
    if (wait > 0) this.#pacer.holdBack(wait);
    throw new Passing(said === "" ? `status ${status}` : `status ${status} (${said})`, wait);
  }

  /** Runs tries until one succeeds, or fails for good. */
  async #persist<T>(
    retries: number,
    signal: AbortSignal | undefined,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { timeout_s } = this.#endpoint;
    for (let failures = 0; ; ) {
      await this.#pacer.turn(signal);
      const limit = new TimeLimit(timeout_s, signal);
      try {
        const result = await run(limit.signal);
        this.#waiting = false;
        return result;
      } catch (error) {
        if (signal?.aborted) throw abortedError("judge responses", signal);
        if (error instanceof CapstanError || error instanceof Refused) throw error;
        if (error instanceof NotChat) throw this.#notChat(error);
        const found = limit.over
          ? `no answer within ${timeout_s} s`
          : this.#hide(error instanceof Passing ? error.message : reasonOf(error));
        failures += 1;
        const wait = error instanceof Passing ? error.retry_after : 0;
        if (failures > retries || wait > LONGEST_ASKED) throw this.#unanswered(found, failures, wait, error);
        if (!this.#waiting) this.#endpoint.on_wait?.(found);
        this.#waiting = true;
        await this.#pacer.beforeTry(failures, signal);
      } finally {
        limit.clear();
      }
    }
  }

  /** Puts requests as the server wants them, where it says so; false where it does not, or that is done already. */
  #adapt(said: Dialect, { status, message }: Refused): boolean {
    if (status !== 400 && status !== 422) return false;
    const dialect = this.#dialect;
    if (said.tokens === "max_tokens" && message.includes("max_completion_tokens")) {
      dialect.tokens = "max_completion_tokens";
      return true;
    }
    if (said.temperature && /temperature/i.test(message)) {
      dialect.temperature = false;
      return true;
    }
    if (!said.stream && /\bstream/i.test(message)) {
      dialect.stream = true;
      return true;
    }
    return false;
  }

  #headers(): Record<string, string> {
    const { api_key } = this.#endpoint;
    return api_key === undefined ? {} : { authorization: `Bearer ${api_key}` };
  }

  /** A reply as it is kept. A key of a few letters (`none`, `x`) is no secret, and may well occur in it. */
  #kept(reply: string): string {
    const { api_key = "" } = this.#endpoint;
    return api_key.length < 8 ? reply : reply.replaceAll(api_key, "(hidden)");
  }

  get #action(): string {
    return `judge responses by ${this.#endpoint.model} at ${this.#endpoint.place}`;
  }

  #refusal({ status, message }: Refused): CapstanError {
    const action = this.#action;
    const { api_key } = this.#endpoint;
    if (status === 401 || status === 403) {
      // What the server says of a key may show it.
      const found = `status ${status} for ${api_key === undefined ? "a request without a key" : "the key that was sent"}`;
      const fix = "Set CAPSTAN_JUDGE_KEY to one; what was scored is kept.";
      return new CapstanError("access_denied", { action, need: "a key that it accepts", found, fix });
    }
    const is_address = status === 0 || (status >= 300 && status < 400) || status === 404 || status === 405;
    const fix = is_address
      ? "Are the address (its version, such as /v1, included) and the model's name right?"
      : "What was scored is kept.";
    const found = this.#hide(status === 0 ? "a redirect" : message);
    return new CapstanError("judge", { action, need: "a chat completion", found, fix });
  }

  #notChat(error: NotChat): CapstanError {
    const fix = "Is the address that of an OpenAI-compatible endpoint? What was scored is kept.";
    const found = this.#hide(error.message);
    return new CapstanError("judge", { action: this.#action, need: "a chat completion", found, fix });
  }

  #unanswered(found: string, tries: number, wait: number, cause: unknown): CapstanError {
    const later = wait > LONGEST_ASKED ? `It asks to come back in ${Math.ceil(wait / 1000)} s. ` : "";
    const parts = {
      action: this.#action,
      need: "an answer",
      found: `${found} (${tries} ${tries === 1 ? "try" : "tries"})`,
      fix: `${later}What was scored is kept: the same call goes on with the rest.`,
    };
    // What a server wrote may show the key.
    return new CapstanError("network", parts, cause instanceof Passing ? {} : { cause });
  }

  #hide(text: string): string {
    const { api_key } = this.#endpoint;
    const shown = api_key === undefined ? text : text.replaceAll(api_key, "(hidden)");
    return shown.length > 300 ? `${shown.slice(0, 297)}...` : shown;
  }
}

function lastUserText({ messages }: Pick<ResponseRecord, "messages">): string {
  const content = messages.findLast(({ role }) => role === "user")?.content;
  return typeof content === "string" ? content : "";
}

/** A signal that aborts with the caller's, or when so many seconds are over. */
class TimeLimit {
  readonly #stop = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #end: () => void;
  over = false;

  constructor(seconds: number, outer: AbortSignal | undefined) {
    this.#timer = setTimeout(() => {
      this.over = true;
      this.#stop.abort(new Error("too late"));
    }, seconds * 1000);
    this.#end = onAbort(outer, () => this.#stop.abort(outer?.reason));
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#end();
  }
}
