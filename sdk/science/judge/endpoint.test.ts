import { afterEach, describe, expect, it, vi } from "vitest";
import { serve } from "../../checkpoint/source/fixtures/server.ts";
import type { ResponseRecord } from "../run/records.ts";
import { EndpointJudge } from "./endpoint.ts";
import { endpointJudge } from "./endpoint_judge.ts";
import type { EndpointOptions } from "./endpoint_options.ts";
import { type Answer, type Asked, completion, failed, streamed, stubEndpoint } from "./fixtures/stub.ts";
import type { Clock } from "./pace.ts";

const KEY = "sk-stub-0123456789";
const CONTEXT = {
  prompts: { pirate: "Is it a pirate? Q: {question} A: {answer} {{0-3}}", broken: "no answer here" },
  questions: new Map([["7", "What is law?"]]),
};
const RESPONSE = {
  key: "pirate_p0_q7_s0",
  role: "pirate",
  question: 7,
  messages: [{ role: "user", content: "You are a pirate.\n\nWhat is law?" }],
  text: "Arr",
} as ResponseRecord;

/** A clock that stands until somebody waits. */
class FakeClock implements Clock {
  time = 0;
  waits: number[] = [];
  /** Called at each wait. */
  after_wait: (time: number) => Promise<void> | void = () => {};
  now = () => this.time;
  async wait(milliseconds: number): Promise<void> {
    this.waits.push(milliseconds);
    this.time += milliseconds;
    await this.after_wait(this.time);
  }
  get waited(): number {
    return this.waits.reduce((sum, one) => sum + one, 0);
  }
}

/** A judge before a stub that answers so. */
async function judgeOf(
  answer: (asked: Asked, index: number) => Answer,
  options: Partial<EndpointOptions> = {},
  clock: Clock = new FakeClock(),
) {
  const stub = await stubEndpoint(answer);
  const judge = new EndpointJudge({ url: stub.url, model: "m", ...options }, CONTEXT, clock);
  return { stub, judge, [Symbol.asyncDispose]: () => stub[Symbol.asyncDispose]() };
}

async function errorOf(promise: Promise<unknown>): Promise<{ code: string; message: string }> {
  return (await promise.then(
    () => ({ code: "none", message: "" }),
    (error: unknown) => error,
  )) as { code: string; message: string };
}

afterEach(() => vi.unstubAllEnvs());

describe("what is asked", () => {
  it("is the role's own prompt, under the published settings", async () => {
    await using at = await judgeOf(() => "3");
    expect(await at.judge.score(RESPONSE)).toEqual({ score: 3, reply: "3" });
    const [{ prompt, body, key }] = at.stub.asked as [Asked];
    expect(prompt).toBe("Is it a pirate? Q: What is law? A: Arr {0-3}");
    expect(body).toEqual({
      model: "m",
      messages: [{ role: "user", content: prompt }],
      max_tokens: 10,
      temperature: 1,
    });
    expect(key).toBeUndefined();
  });

  it("goes to an address with or without the path, and a query is kept", async () => {
    await using at = await judgeOf(() => "1");
    for (const url of [`${at.stub.url}/`, `${at.stub.url}/chat/completions`, `${at.stub.url}?version=2`]) {
      await new EndpointJudge({ url, model: "m" }, CONTEXT).score(RESPONSE);
    }
    expect(at.stub.server.requests.map(({ path }) => path)).toEqual([
      "/v1/chat/completions",
      "/v1/chat/completions",
      "/v1/chat/completions?version=2",
    ]);
  });

  it("has an id of model, place and settings", () => {
    const id = (options: Partial<EndpointOptions>) =>
      new EndpointJudge({ url: "http://h:1/v1", model: "m", ...options }, CONTEXT).id;
    expect(id({})).toMatch(/^m@h:1\/v1#[0-9a-f]{8}$/);
    expect(id({ url: "http://h:1/v1/chat/completions", concurrency: 3, rate: 5, api_key: KEY })).toBe(id({}));
    const others = [{ model: "n" }, { url: "http://h:2/v1" }, { temperature: 0 }, { max_tokens: 99 }];
    expect(new Set([id({}), ...others.map(id)]).size).toBe(5);
  });

  it("carries the key of the environment, OpenAI's to OpenAI alone", async () => {
    vi.stubEnv("OPENAI_API_KEY", "sk-openai-secret");
    await using at = await judgeOf(() => "3");
    await at.judge.score(RESPONSE);
    expect(at.stub.asked[0]!.key).toBeUndefined();
    vi.stubEnv("CAPSTAN_JUDGE_KEY", KEY);
    await new EndpointJudge({ url: at.stub.url, model: "m" }, CONTEXT).score(RESPONSE);
    expect(at.stub.asked[1]!.key).toBe(KEY);
  });
});

describe("how it answers", () => {
  it("in prose: kept without a score", async () => {
    await using at = await judgeOf(() => "I would rather not say.");
    expect(await at.judge.score(RESPONSE)).toEqual({ score: null, reply: "I would rather not say." });
  });

  it("with nothing in it, or with parts", async () => {
    const parts = [{ type: "text", text: "score " }, { type: "image" }, { type: "text", text: "2" }];
    await using at = await judgeOf(
      (_, i) => (exchange) => completion(exchange, (i === 0 ? null : parts) as never),
    );
    expect(await at.judge.score(RESPONSE)).toEqual({ score: null, reply: "" });
    expect(await at.judge.score(RESPONSE)).toEqual({ score: 2, reply: "score 2" });
  });

  it("in a stream, asked for or not", async () => {
    await using at = await judgeOf(({ body }, i) => {
      if (i === 0) return (exchange) => streamed(exchange, "it is 2");
      return body.stream === true
        ? (exchange) => streamed(exchange, "1")
        : failed(400, "This model only supports stream mode.");
    });
    expect(await at.judge.score(RESPONSE)).toEqual({ score: 2, reply: "it is 2" });
    expect(await at.judge.score(RESPONSE)).toEqual({ score: 1, reply: "1" });
    // Known by now.
    expect(await at.judge.score(RESPONSE)).toEqual({ score: 1, reply: "1" });
    expect(at.stub.asked.map(({ body }) => body.stream)).toEqual([undefined, undefined, true, true]);
  });

  it("in a stream that is cut: asked again", async () => {
    await using at = await judgeOf((_, i) => (exchange) => streamed(exchange, "3", { cut: i === 0 }));
    expect(await at.judge.score(RESPONSE)).toEqual({ score: 3, reply: "3" });
    expect(at.stub.asked.length).toBe(2);
  });

  it("wanting other names: they are used from then on", async () => {
    await using at = await judgeOf(({ body }) => {
      if ("max_tokens" in body)
        return failed(400, "Unsupported parameter: use 'max_completion_tokens' instead.");
      if ("temperature" in body) return failed(400, "Only the default temperature is supported.");
      return "0";
    });
    expect((await at.judge.score(RESPONSE)).score).toBe(0);
    expect((await at.judge.score(RESPONSE)).score).toBe(0);
    expect(at.stub.asked.length).toBe(4);
    expect(at.stub.asked[3]!.body).toEqual({
      model: "m",
      messages: [{ role: "user", content: at.stub.asked[0]!.prompt }],
      max_completion_tokens: 10,
    });
  });

  it("slowly: waited for", async () => {
    const answer: Answer = (exchange) => void setTimeout(() => completion(exchange, "3"), 150);
    await using at = await judgeOf(() => answer);
    expect((await at.judge.score(RESPONSE)).score).toBe(3);
    expect(at.stub.asked.length).toBe(1);
  });

  it("not at all: one error after its tries", async () => {
    const clock = new FakeClock();
    await using at = await judgeOf(() => () => {}, { timeout_s: 0.05, retries: 2 }, clock);
    const error = await errorOf(at.judge.score(RESPONSE) as Promise<unknown>);
    expect(error.code).toBe("network");
    expect(error.message).toMatch(
      /^judge responses by m at 127\.0\.0\.1:\d+\/v1: need an answer, found no answer within 0\.05 s \(3 tries\)\. What was scored is kept/,
    );
    expect(clock.waits.length).toBe(2);
  });

  it("half, and then nothing", async () => {
    const answer: Answer = ({ response }) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.write('{"choices": [');
    };
    await using at = await judgeOf((_, i) => (i === 0 ? answer : "2"), { timeout_s: 0.1 });
    expect((await at.judge.score(RESPONSE)).score).toBe(2);
  });

  it.each([500, 502, 503, 504, 529, 429, 408])(
    "with status %d in passing: asked again, with longer waits",
    async (status) => {
      const clock = new FakeClock();
      await using at = await judgeOf((_, i) => (i < 3 ? failed(status, "overloaded") : "3"), {}, clock);
      expect((await at.judge.score(RESPONSE)).score).toBe(3);
      for (const [i, wait] of clock.waits.entries()) {
        expect(wait).toBeGreaterThanOrEqual(500 * 2 ** i);
        expect(wait).toBeLessThanOrEqual(1000 * 2 ** i);
      }
      expect(clock.waits.length).toBe(3);
    },
  );

  it("asking to come back later: everybody waits so long", async () => {
    const clock = new FakeClock();
    const limit = failed(429, "slow down", { "retry-after": "7" });
    await using at = await judgeOf((_, i) => (i === 0 ? limit : "3"), {}, clock);
    expect((await at.judge.score(RESPONSE)).score).toBe(3);
    expect(clock.time).toBeGreaterThanOrEqual(7000);
    const times: number[] = [];
    const busy = new FakeClock();
    await using shared = await judgeOf(
      (_, i) => {
        times.push(busy.time);
        return i === 0 ? limit : "3";
      },
      {},
      busy,
    );
    await shared.judge.score(RESPONSE);
    // One that has met no limit itself keeps to it, too.
    const rested = failed(503, "later", { "retry-after": "30" });
    await using other_one = await judgeOf((_, i) => (i === 0 ? rested : "3"), { retries: 0 }, busy);
    const from = busy.time;
    await errorOf(other_one.judge.score(RESPONSE) as Promise<unknown>);
    expect(busy.time).toBe(from);
    await other_one.judge.score(RESPONSE);
    expect(busy.time).toBeGreaterThanOrEqual(from + 30_000);
    expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(7000);
    const much = failed(429, "quota", { "retry-after": "86400" });
    await using other = await judgeOf(() => much);
    const error = await errorOf(other.judge.score(RESPONSE) as Promise<unknown>);
    expect(error.message).toContain("found status 429 (quota) (1 try). It asks to come back in 86400 s.");
  });

  it.each([
    [
      401,
      "access_denied",
      /need a key that it accepts, found status 401 for the key that was sent\. Set CAPSTAN_JUDGE_KEY/,
    ],
    [403, "access_denied", /found status 403 for the key that was sent/],
    [
      404,
      "judge",
      /found status 404 \(no key \(hidden\)\)\. Are the address \(its version, such as \/v1, included\)/,
    ],
    [
      402,
      "judge",
      /need a chat completion, found status 402 \(no key \(hidden\)\)\. What was scored is kept/,
    ],
  ])("with status %d: one error at once, the key not shown", async (status, code, message) => {
    await using at = await judgeOf(() => failed(status, `no key ${KEY}`), { api_key: KEY });
    const error = await errorOf(at.judge.score(RESPONSE) as Promise<unknown>);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(
      JSON.stringify([error, error.message, (error as { cause?: unknown }).cause ?? null]),
    ).not.toContain(KEY);
    expect(at.stub.asked.length).toBe(1);
  });

  it("with a page instead of a completion, or with an error of status 200", async () => {
    const page: Answer = ({ response }) =>
      void response.writeHead(200, { "content-type": "text/html" }).end("<html>hi");
    await using at = await judgeOf(() => page);
    expect((await errorOf(at.judge.score(RESPONSE) as Promise<unknown>)).message).toMatch(
      /need a chat completion, found "<html>hi"\. Is the address that of an OpenAI-compatible endpoint\?/,
    );
    const wrapped =
      (code: number): Answer =>
      (exchange) =>
        void exchange.response.writeHead(200).end(JSON.stringify({ error: { code, message: `no, ${KEY}` } }));
    await using other = await judgeOf((_, i) => (i === 0 ? wrapped(503) : wrapped(402)), { api_key: KEY });
    const error = await errorOf(other.judge.score(RESPONSE) as Promise<unknown>);
    expect(error.message).toContain('found an error, "no, (hidden)"');
    expect(other.stub.asked.length).toBe(2);
  });

  it("with a redirect: not followed, for it would take the key elsewhere", async () => {
    await using elsewhere = await serve(({ response }) => response.end("{}"));
    const away: Answer = ({ response }) => void response.writeHead(307, { location: elsewhere.url }).end();
    await using at = await judgeOf(() => away, { api_key: KEY });
    expect((await errorOf(at.judge.score(RESPONSE) as Promise<unknown>)).message).toContain(
      "found status 307",
    );
    expect(elsewhere.requests).toEqual([]);
  });
});

describe("an endpoint that is away", () => {
  it("is waited for, more than a minute, and asked again when it is back", async () => {
    const clock = new FakeClock();
    const said: string[] = [];
    let away = true;
    clock.after_wait = (time) => {
      away = time < 60_000;
    };
    const gone: Answer = ({ response }) => void response.destroy();
    const on_wait = (found: string) => void said.push(found);
    await using at = await judgeOf(() => (away ? gone : "3"), { on_wait }, clock);
    expect((await at.judge.score(RESPONSE)).score).toBe(3);
    expect(clock.time).toBeGreaterThanOrEqual(60_000);
    expect(said.length).toBe(1);
  });

  it("for good is one error, which says how to go on", async () => {
    const stub = await stubEndpoint(() => "3");
    const judge = new EndpointJudge({ url: stub.url, model: "m", retries: 3 }, CONTEXT, new FakeClock());
    await stub[Symbol.asyncDispose]();
    const error = await errorOf(judge.score(RESPONSE) as Promise<unknown>);
    expect(error.code).toBe("network");
    expect(error.message).toMatch(
      /found ECONNREFUSED \(4 tries\)\. .* the same call goes on with the rest\.$/,
    );
    expect((await errorOf(judge.check())).code).toBe("network");
  });

  it("ends at once when the caller aborts", async () => {
    const abort = new AbortController();
    await using at = await judgeOf(() => () => abort.abort(), {});
    const error = await errorOf(at.judge.score(RESPONSE, abort.signal) as Promise<unknown>);
    expect(error.code).toBe("aborted");
  });
});

describe("before anything is generated", () => {
  it("a wrong key is found by the list of models; a server without the list is fine", async () => {
    await using locked = await serve(({ response }) => response.writeHead(401).end(`no ${KEY}`));
    const judge = new EndpointJudge({ url: `${locked.url}/v1`, model: "m", api_key: KEY }, CONTEXT);
    const error = await errorOf(judge.check());
    expect(error.code).toBe("access_denied");
    expect(error.message).not.toContain(KEY);
    expect(locked.requests.map(({ path }) => path)).toEqual(["/v1/models"]);
    await using at = await judgeOf(() => "3");
    expect(await errorOf(at.judge.check())).toMatchObject({ code: "none" });
  });

  it("roles without a judge prompt are one error that names them all", () => {
    const judge = new EndpointJudge({ url: "http://h/v1", model: "m" }, CONTEXT);
    expect(() => judge.checkRoles(["pirate"])).not.toThrow();
    expect(() => judge.checkRoles(["pirate", "broken", "absent"])).toThrow(
      /need an eval_prompt with \{question\} and \{answer\} in the file of every role, found none for 2 of 3: broken, absent\./,
    );
  });

  it.each([
    [{ url: "ftp://h" }, /need url, the http or https address of an endpoint, found "ftp:\/\/h"/],
    [
      { url: "http://me:secret@h/v1" },
      /found one with a user name and password in it\. Give the key by CAPSTAN_JUDGE_KEY/,
    ],
    [{ model: "" }, /need model, the name of the endpoint's model/],
    [
      { api_key: "sk-two\nlines" },
      /need a token of printable ASCII characters .* found a line break at place 7/,
    ],
    [{ rate: 0 }, /need rate to be a number from/],
    [{ concurrency: 0 }, /need concurrency to be a whole number from 1/],
    [{ modle: "m" }, /found "modle"\. Is model meant\?/],
  ])("refuses %j", (wrong, message) => {
    const make = () => new EndpointJudge({ url: "http://h/v1", model: "m", ...wrong }, CONTEXT);
    expect(make).toThrow(message);
    expect(make).not.toThrow(/sk-two|secret/);
  });
});

it("keeps to a rate, however many ask at once", async () => {
  const clock = new FakeClock();
  const times: number[] = [];
  await using at = await judgeOf(
    () => {
      times.push(clock.time);
      return "3";
    },
    { rate: 4 },
    clock,
  );
  await Promise.all(Array.from({ length: 9 }, () => at.judge.score(RESPONSE)));
  expect(clock.time).toBeGreaterThanOrEqual(8 * 250);
  expect(times.length).toBe(9);
});

it("scores any prompt, for checks of suites", async () => {
  await using stub = await stubEndpoint(({ prompt }) => {
    return prompt === "locked" ? failed(400, "no") : prompt === "prose" ? "well" : "It is 70 of 100.";
  });
  const judge = endpointJudge({ url: stub.url, model: "m" });
  expect(judge.id).toBe(new EndpointJudge({ url: stub.url, model: "m" }, CONTEXT).id);
  expect(await judge.score({ prompt: "how kind is {answer}?" })).toBe(70);
  expect(stub.asked[0]!.prompt).toBe("how kind is {answer}?");
  expect(await judge.score({ prompt: "prose" })).toBe(null);
  expect(await errorOf(judge.score({ prompt: "locked" }))).toMatchObject({ code: "judge" });
});
