import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readEvents } from "./events.ts";

const encoder = new TextEncoder();

/** A body that comes in pieces, cut at these bytes. */
function bodyOf(text: string, cuts: readonly number[] = []): ReadableStream<Uint8Array> {
  const bytes = encoder.encode(text);
  const at = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort(
    (a, b) => a - b,
  );
  const pieces = at.slice(1).map((end, i) => bytes.subarray(at[i]!, end));
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
}

async function eventsOf(body: ReadableStream<Uint8Array>): Promise<string[]> {
  const events: string[] = [];
  for await (const event of readEvents(body)) events.push(event);
  return events;
}

describe("events of a stream", () => {
  it("are the same however the body is cut, in the middle of a character and of a line's end", async () => {
    const text = 'data: {"text":"naïve 😀"}\r\n\r\ndata: two\r\ndata: lines\r\rdata: [DONE]\n\n';
    const all = ['{"text":"naïve 😀"}', "two\nlines", "[DONE]"];
    expect(await eventsOf(bodyOf(text))).toEqual(all);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat()), async (cuts) => {
        expect(await eventsOf(bodyOf(text, cuts))).toEqual(all);
      }),
      { seed: 5, numRuns: 200 },
    );
  });

  it("have no comments, other fields, empty events, nor one that was cut off", async () => {
    const text = ": hello\n\nevent: x\ndata:a\nid: 3\n\ndata\n\ndatum: b\n\ndata: cut";
    expect(await eventsOf(bodyOf(text))).toEqual(["a", ""]);
  });

  it("cancel the body when their reader leaves", async () => {
    let has_left = false;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(encoder.encode("data: x\n\n")),
      cancel: () => {
        has_left = true;
      },
    });
    for await (const _ of readEvents(body)) break;
    expect(has_left).toBe(true);
  });
});
