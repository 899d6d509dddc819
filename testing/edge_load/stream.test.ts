import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Random } from "../fuzz/mutate.ts";
import { compare } from "./edge_load.ts";
import { Metrics } from "./server.ts";
import { type Outcome, type Plan, planOf, runStream } from "./stream.ts";

/** What a stream's client says of servers that do as they should, and of such that do not. */

type Request = { messages: { content: string }[] };
let server: Server;
let origin: string;
/** What the server answers: a status with headers, and the events of its body. */
let answer: (request: Request) => { status?: number; headers?: Record<string, string>; events?: string[] };
beforeAll(async () => {
  server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const { status = 200, headers = {}, events = [] } = answer(JSON.parse(body));
    response.writeHead(status, headers);
    for (const event of events) response.write(`data: ${event}\n\n`);
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

const chunk = (content: string) => JSON.stringify({ choices: [{ delta: { content } }] });
const random = new Random(5);
const plan = (n: number, some: Partial<Plan> = {}): Plan => ({
  ...planOf(n, random, {}),
  fate: "whole",
  ...some,
});
const ends = async (given: ReturnType<typeof answer>, some: Partial<Plan> = {}) => {
  answer = () => given;
  return await runStream(origin, plan(0, some));
};

describe("a stream", () => {
  const role = JSON.stringify({ choices: [{ delta: { role: "assistant" } }] });
  it("is finished with its end, refused with Retry-After, left where its client leaves", async () => {
    const events = [role, chunk("a"), chunk("b"), "[DONE]"];
    const whole = await ends({ events });
    expect(whole).toMatchObject({ end: "finished", text: "ab" });
    expect([whole.first! >= 0, whole.between.length]).toEqual([true, 1]);
    expect(await ends({ events }, { fate: "slow", pause: 1 })).toMatchObject({ end: "finished", text: "ab" });
    expect(await ends({ events }, { fate: "left", after: 1 })).toMatchObject({ end: "left", text: "a" });
    expect(await ends({ status: 429, headers: { "retry-after": "2" } })).toMatchObject({ end: "refused" });
  });

  it("is lost without an end, and failed by an error of any kind", async () => {
    expect(await ends({ events: [role, chunk("a")] })).toMatchObject({ end: "lost", text: "a" });
    expect(await ends({ events: [] })).toMatchObject({ end: "lost" });
    const error = JSON.stringify({ error: { message: "no memory" } });
    expect(await ends({ events: [chunk("a"), error] })).toMatchObject({ end: "failed", error: "no memory" });
    // A refusal has to say when to come again.
    for (const status of [429, 500, 503, 404]) expect((await ends({ status })).end).toBe("failed");
    expect((await runStream("http://127.0.0.1:1", plan(0, { fate: "whole" }))).end).toBe("failed");
  });
});

describe("replies", () => {
  const outcome = (n: number, text: string, end: Outcome["end"] = "finished"): Outcome => {
    return { plan: plan(n), end, text, first: 1, between: [] };
  };

  it("are compared with the same request's alone, a left one's as far as it was read", async () => {
    answer = ({ messages }) => ({ events: [chunk(`To ${messages[0]!.content}`), "[DONE]"] });
    const right = [0, 1, 2].map((n) => outcome(n, ""));
    for (const one of right) one.text = `To ${one.plan.body.messages[0]!.content}`;
    const left = outcome(3, "To ", "left");
    expect(await compare(origin, [...right, left])).toEqual({ compared: 4, crossed: [] });
    const other = outcome(4, "To nobody");
    const cut = { ...outcome(5, "To "), end: "finished" as const };
    const { crossed } = await compare(origin, [...right, other, cut]);
    expect(crossed.map((one) => one.split(":")[0])).toEqual(["4", "5"]);
  });

  it("have nothing of what another stream asks", async () => {
    answer = () => ({ events: [chunk("x"), "[DONE]"] });
    const [one, eleven] = [outcome(1, ""), outcome(11, "x")];
    eleven.plan.canary = "ABCDE-11";
    one.plan.canary = "ABCDE-1";
    const has = async (text: string) => (await compare(origin, [{ ...one, text }, eleven])).crossed[0];
    expect(await has("It is ABCDE-11.")).toBe("1: has the text of 11");
    expect(await has("It is ABCDE-1.")).not.toContain("has the text");
    expect(await has("It is ABCDE-111.")).not.toContain("has the text");
  });
});

describe("figures of /metrics", () => {
  const of = (counts: readonly number[]) =>
    new Metrics(
      ["0.01", "0.1", "+Inf"].map((le, i) => `lag_bucket{le="${le}"} ${counts[i]}`).join("\n") +
        `\nlag_count ${counts[2]}`,
    );

  it("are a histogram's bounds since a time before", () => {
    const before = of([10, 10, 10]);
    expect(of([60, 109, 110]).quantile("lag", 0.5, before)).toBe(0.01);
    expect(of([59, 109, 110]).quantile("lag", 0.5, before)).toBe(0.1);
    expect(of([60, 109, 110]).quantile("lag", 0.99, before)).toBe(0.1);
    expect(of([60, 108, 110]).quantile("lag", 0.99, before)).toBe(Number.POSITIVE_INFINITY);
    expect(before.quantile("lag", 0.5, before)).toBe(null);
    expect(() => before.of("memory")).toThrow("/metrics has no memory");
  });
});
