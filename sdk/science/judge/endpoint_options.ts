import { CapstanError, show } from "../../../models/index.ts";
import { checkToken } from "../../checkpoint/source/secrets.ts";
import * as rules from "../../common/options.ts";
import { type Rules, readOptions } from "../../common/options.ts";
import { env } from "../../platform/index.ts";
import { crc32 } from "../run/checksum.ts";

/** A chat model behind an OpenAI-compatible endpoint that scores the responses by the roles' `eval_prompt`. */
export interface EndpointOptions {
  /** Its address with the version, `https://api.openai.com/v1`; `/chat/completions` may stand behind it. */
  url: string;
  /** The model's name there. */
  model: string;
  /**
   * Sent as a bearer token, never shown. Default: the environment's `CAPSTAN_JUDGE_KEY`; for api.openai.com,
   * `OPENAI_API_KEY` where that is not set; else none is sent.
   */
  api_key?: string;
  /** Requests in flight at once, from 1. Default: 16. */
  concurrency?: number;
  /** Requests a second, from just above 0. Default: no limit. */
  rate?: number;
  /** Seconds that one request may take, from 0.001. Default: 60. */
  timeout_s?: number;
  /**
   * Further tries of a request after a lost connection, a timeout, 408, 425, 429 or 5xx, from 0. Waits grow from 1 s to
   * 30 s, a random part left out, and are no shorter than `Retry-After`. Default: 8, which outlasts a minute.
   */
  retries?: number;
  /** From 0 (greedy) to 2. Default: 1, as published. */
  temperature?: number;
  /** Longest reply in tokens, from 1. Default: 10, as published; a reasoning model needs more. */
  max_tokens?: number;
  /** Called once for each time that it does not answer, with the reason. Default: none. */
  on_wait?: (found: string) => void;
}

const OPTIONS: Rules<EndpointOptions> = {
  url: rules.text,
  model: rules.text,
  api_key: rules.text,
  concurrency: rules.whole(1),
  rate: rules.number(Number.MIN_VALUE, Number.MAX_VALUE),
  timeout_s: rules.number(0.001, 2 ** 31 / 1000 - 1),
  retries: rules.whole(0),
  temperature: rules.number(0, 2),
  max_tokens: rules.whole(1),
  on_wait: rules.callback,
};

/** What an endpoint is asked with where its options say nothing. */
export const JUDGE_DEFAULTS = {
  concurrency: 16,
  timeout_s: 60,
  retries: 8,
  temperature: 1,
  max_tokens: 10,
} as const;

export type Endpoint = EndpointOptions &
  Required<Omit<EndpointOptions, "api_key" | "on_wait" | "rate">> & {
    rate: number;
    /** Where requests go. */
    address: string;
    /** Without scheme, as ids and messages name it. */
    place: string;
  };

/** Checks the options and puts in what is left out. @throws CapstanError `bad_request`, `access_denied` */
export function readEndpoint(given: EndpointOptions): Endpoint {
  const options = readOptions("judge responses", given, OPTIONS);
  if (typeof options.model !== "string" || options.model.trim() === "") {
    throw new CapstanError("bad_request", {
      action: "judge responses",
      need: "model, the name of the endpoint's model",
      found: show(options.model ?? "none"),
    });
  }
  const url = addressOf(options.url);
  const api_key = options.api_key ?? keyFor(url);
  if (api_key !== undefined) checkToken(api_key, "the judge");
  return {
    ...JUDGE_DEFAULTS,
    rate: Number.POSITIVE_INFINITY,
    ...options,
    ...(api_key === undefined ? {} : { api_key }),
    address: url.href,
    place: url.host + url.pathname.replace(/\/chat\/completions$/, ""),
  };
}

/** What a judge goes by: the model, where it is asked, and the settings that shape its answers. */
export function endpointId({ model, place, temperature, max_tokens }: Endpoint): string {
  return `${model}@${place}#${crc32(JSON.stringify({ temperature, max_tokens }))}`;
}

function addressOf(text: unknown): URL {
  const url = typeof text === "string" && URL.canParse(text) ? new URL(text) : undefined;
  const fail = (found: string, fix?: string) => {
    const parts = { action: "judge responses", need: "url, the http or https address of an endpoint", found };
    return new CapstanError("bad_request", fix === undefined ? parts : { ...parts, fix });
  };
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw fail(show(text ?? "none"));
  if (url.username !== "" || url.password !== "") {
    throw fail("one with a user name and password in it", "Give the key by CAPSTAN_JUDGE_KEY.");
  }
  url.hash = "";
  const path = url.pathname.replace(/\/+$/, "");
  url.pathname = path.endsWith("/chat/completions") ? path : `${path}/chat/completions`;
  return url;
}

/** A key is sent where it was meant for: OpenAI's to OpenAI alone. */
function keyFor(url: URL): string | undefined {
  const own = env("CAPSTAN_JUDGE_KEY");
  if (own !== undefined) return own;
  return url.protocol === "https:" && url.host === "api.openai.com" ? env("OPENAI_API_KEY") : undefined;
}
