import { describe, expect, it } from "vitest";
import type { ChatBackend, ReplyEvent, ReplyRequest } from "../backend/backend.ts";
import { Conversation, meanOf, SAMPLING, type Settings, textOf } from "./conversation.ts";
import { Player } from "./player.ts";

const settings = (): Settings => ({
  model: "m",
  system: "",
  conditions: [
    { cap: null, steering: 0 },
    { cap: "p50", steering: 0 },
  ],
  layer: 4,
  sampling: { ...SAMPLING },
});

/** Answers with what it was asked; a message of "fail" fails in the second column, "wait" waits to be stopped. */
class Echo implements ChatBackend {
  readonly asked: ReplyRequest[] = [];

  async models() {
    return [];
  }

  async *reply(request: ReplyRequest, signal: AbortSignal): AsyncGenerator<ReplyEvent, void, undefined> {
    this.asked.push(request);
    const text = request.messages.at(-1)!.content;
    if (text === "fail" && request.condition.cap !== null) throw new Error("no luck");
    yield { kind: "token", text: "hm", is_reasoning: true, reading: { before: 0, after: 8 } };
    yield { kind: "token", text: ` re: ${text}`, is_reasoning: false, reading: { before: 2, after: 4 } };
    if (text === "wait") {
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      return;
    }
    yield { kind: "end", finish_reason: "stop", effect: null };
  }
}

function open() {
  const conversation = new Conversation(settings());
  const backend = new Echo();
  const running: boolean[] = [];
  const player = new Player(conversation, backend, {
    changed() {},
    reply() {},
    token() {},
    running: (is) => running.push(is),
  });
  return { conversation, backend, player, running };
}

const shown = ({ turns }: Conversation) =>
  turns.map(({ user, replies }) => [user, ...replies.map((reply) => reply && textOf(reply))]);

describe("a conversation of two columns", () => {
  it("answers in both, and asks each with its own past, without its reasoning", async () => {
    const { conversation, backend, player, running } = open();
    conversation.settings.system = "Be brief.";
    await player.send("one");
    await player.send("two");
    expect(shown(conversation)).toEqual([
      ["one", "re: one", "re: one"],
      ["two", "re: two", "re: two"],
    ]);
    expect(backend.asked.at(-1)).toMatchObject({
      condition: { cap: "p50" },
      layer: 4,
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "one" },
        { role: "assistant", content: "re: one" },
        { role: "user", content: "two" },
      ],
    });
    expect(running).toEqual([true, false, true, false]);
    const [reply] = conversation.turns[0]!.replies;
    expect([meanOf(reply!, "before"), meanOf(reply!, "after")]).toEqual([1, 6]);
  });

  it("keeps what was written when it is stopped, and plays no further", async () => {
    const { conversation, player } = open();
    const playing = player.play(["wait", "never"]);
    await Promise.resolve();
    expect(player.is_running).toBe(true);
    expect(player.undo()).toBe(null);
    await new Promise((resolve) => setTimeout(resolve, 0));
    player.stop();
    await playing;
    expect(shown(conversation)).toEqual([["wait", "re: wait", "re: wait"]]);
    expect(conversation.turns[0]!.replies.map((reply) => reply!.status)).toEqual(["stopped", "stopped"]);
  });

  it("shows a failure in its column alone, and takes it away by writing it again", async () => {
    const { conversation, player } = open();
    await player.play(["fail", "never"]);
    const [turn] = conversation.turns;
    expect(conversation.turns).toHaveLength(1);
    expect(turn!.replies.map((reply) => reply!.status)).toEqual(["done", "failed"]);
    expect(turn!.replies[1]!.error).toBe("no luck");
    conversation.settings.conditions[1] = { cap: null, steering: 0 };
    await player.regenerate(turn!, 1);
    expect(turn!.replies.map((reply) => reply!.status)).toEqual(["done", "done"]);
  });

  it("undoes the last turn and gives its message back", async () => {
    const { conversation, player } = open();
    await player.play(["one", "two"]);
    expect(player.undo()).toBe("two");
    expect(shown(conversation)).toEqual([["one", "re: one", "re: one"]]);
    player.undo();
    expect(player.undo()).toBe(null);
  });

  it("writes a reply again, all or one column's, and drops the turns that answered the old one", async () => {
    const { conversation, backend, player } = open();
    await player.play(["one", "two"]);
    const [first] = conversation.turns;
    const kept = first!.replies[0];
    await player.regenerate(first!, 1);
    expect(conversation.turns).toHaveLength(1);
    expect(first!.replies[0]).toBe(kept);
    expect(backend.asked).toHaveLength(5);
    await player.regenerate();
    expect(first!.replies[0]).not.toBe(kept);
  });

  it("says something else at a turn, and goes on from there", async () => {
    const { conversation, player } = open();
    await player.play(["one", "two", "three"]);
    await player.edit(conversation.turns[1]!, "2");
    expect(shown(conversation)).toEqual([
      ["one", "re: one", "re: one"],
      ["2", "re: 2", "re: 2"],
    ]);
  });

  it("notes under what a reply was written, whatever is chosen later", async () => {
    const { conversation, player } = open();
    await player.send("one");
    conversation.settings.conditions[0]!.cap = "p90";
    expect(conversation.turns[0]!.replies[0]!.condition.cap).toBe(null);
  });
});
