import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Bounds } from "../state/conditions.ts";
import { Conversation, type ReplyState, SAMPLING } from "../state/conversation.ts";
import { toJson, toMarkdown, toPage } from "./files.ts";
import { fromFragment, toFragment } from "./share.ts";
import { readSnapshot, snapshotOf } from "./snapshot.ts";

const bounds: Bounds = { floor: 42.9, percentiles: [-64, -26, 43, 73, 100], assistant: 87 };
const NASTY = `<script>alert("1")</script> & '</style>' 😀`;

function reply(texts: readonly string[], start: number): ReplyState {
  const tokens = texts.map((text, i) => ({
    text,
    is_reasoning: false,
    reading: { before: start - i, after: start + i / 3 },
  }));
  const effect = { touched: 3, tokens: 9, mean_shift: 1.25 };
  const condition = { cap: "p50", steering: 0 };
  return { condition, tokens, status: "done", finish_reason: "stop", effect, error: null, means: null };
}

function conversationOf(n_tokens = 3): Conversation {
  const conversation = new Conversation({
    model: "capstan-tiny",
    system: "You are a pirate.",
    conditions: [
      { cap: null, steering: 0 },
      { cap: { start: 1, end: 5, percentile: 40 }, steering: 25 },
    ],
    layer: 4,
    sampling: { ...SAMPLING },
  });
  const turn = conversation.add(NASTY);
  turn.replies[0] = reply(
    Array.from({ length: n_tokens }, (_, i) => `${NASTY} ${i} `),
    50,
  );
  turn.replies[1] = reply(["Fine."], -20);
  conversation.add("And then?");
  return conversation;
}

const restored = ({ settings, turns }: ReturnType<typeof readSnapshot>): Conversation => {
  const conversation = new Conversation(settings);
  conversation.restore(turns);
  return conversation;
};

describe("a shared link", () => {
  it("holds the conversation whole, with readings as they are shown", async () => {
    const conversation = conversationOf();
    const fragment = await toFragment(conversation);
    expect(fragment).toMatch(/^#chat=[\w-]+$/);
    const back = snapshotOf(restored((await fromFragment(fragment))!));
    const rounded = JSON.parse(
      JSON.stringify(snapshotOf(conversation), (name, value) =>
        ["before", "after"].includes(name) ? Number(value.toPrecision(4)) : value,
      ),
    );
    expect(back).toEqual(rounded);
  });

  it("leaves single readings out where it would grow too long, and keeps the means", async () => {
    const conversation = conversationOf(5);
    conversation.turns[0]!.replies[0] = reply(
      Array.from({ length: 6000 }, (_, i) => `${Math.sin(i)} `),
      50,
    );
    const fragment = await toFragment(conversation);
    const [first] = restored((await fromFragment(fragment))!).turns[0]!.replies;
    expect(first!.tokens).toHaveLength(1);
    expect(first!.means!.after).toBeCloseTo(50 + 5999 / 6, 0);
  });

  it("that is cut, damaged or somebody's trick is refused in a sentence; another fragment is none", async () => {
    const fragment = await toFragment(conversationOf());
    expect(await fromFragment("#turn-2")).toBe(null);
    expect(await fromFragment("")).toBe(null);
    await expect(fromFragment(fragment.slice(0, -20))).rejects.toThrow("The link is cut off or damaged.");
    await expect(fromFragment("#chat=%%%")).rejects.toThrow("The link is cut off or damaged.");
    const bomb = new Blob([new Uint8Array(20_000_000)])
      .stream()
      .pipeThrough(new CompressionStream("deflate-raw"));
    const bytes = new Uint8Array(await new Response(bomb).arrayBuffer());
    const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    await expect(fromFragment(`#chat=${text.replaceAll("+", "-").replaceAll("/", "_")}`)).rejects.toThrow(
      /damaged/,
    );
  });

  it("of any other JSON is refused, and never half read", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(() => readSnapshot(value)).toThrow("This is no conversation that can be shown");
      }),
      { seed: 1, numRuns: 300 },
    );
    const wrong = (change: (snapshot: ReturnType<typeof snapshotOf>) => void) => {
      const snapshot = JSON.parse(JSON.stringify(snapshotOf(conversationOf())));
      change(snapshot);
      return () => readSnapshot(snapshot);
    };
    expect(wrong((one) => Object.assign(one, { version: 2 }))).toThrow(/the conversation/);
    expect(wrong((one) => Object.assign(one.turns[0]!, { user: 3 }))).toThrow(/user/);
    expect(wrong((one) => Object.assign(one.settings, { conditions: [] }))).toThrow(/conditions/);
    expect(wrong((one) => Object.assign(one.settings.sampling, { temperature: "hot" }))).toThrow(
      /temperature/,
    );
    expect(wrong((one) => Object.assign(one.turns[0]!.replies[0]!.tokens[0]!, { after: null }))).toThrow(
      /after/,
    );
    expect(wrong((one) => Object.assign(one.settings, { layer: 1.5 }))).toThrow(/layer/);
  });
});

describe("exports", () => {
  it("JSON comes back as the same conversation", () => {
    const conversation = conversationOf();
    const text = toJson(conversation, bounds);
    expect(JSON.parse(text).bounds).toEqual(bounds);
    expect(snapshotOf(restored(readSnapshot(JSON.parse(text))))).toEqual(snapshotOf(conversation));
  });

  it("Markdown has every turn, with the means", () => {
    const text = toMarkdown(conversationOf(), bounds);
    expect(text).toContain("# Chat with capstan-tiny");
    expect(text).toContain("- System prompt: You are a pirate.");
    expect(text).toContain(`> ${NASTY}`);
    expect(text).toContain("**Capped: p50** (mean projection −20)\n\nFine.");
    expect(text).toContain("mean projection 49 before the cap, 50.3 after");
  });

  it("the page has the chart, links to turns, and nothing of a message as markup", () => {
    const text = toPage(conversationOf(), bounds, "after");
    expect(text).toContain("<svg");
    expect(text).toContain('href="#turn-1"');
    expect(text).toContain('id="turn-1"');
    expect(text).toContain("floor 42.9");
    expect(text).not.toContain("<script");
    expect(text.match(/<\/style>/g)).toHaveLength(1);
    expect(text).not.toMatch(/src=|@import|url\(/);
  });
});
