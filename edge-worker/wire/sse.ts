import { itemAt } from "../../models/certain.ts";
import type { ApiError } from "../errors.ts";

/** An event of a stream: its name, where the API has names, and its JSON. */
export interface ServerEvent {
  event?: string;
  data: unknown;
}

const encoder = new TextEncoder();

/**
 * Events as a response body. It is filled as it is read: a slow reader holds up its own stream alone. An error in the
 * middle is the last event; nothing follows but the end.
 *
 * @param left called when the reader has left
 * @param end what follows the last event: `[DONE]` in OpenAI's older APIs
 * @param toError what an error is answered with
 */
export function eventStream(
  events: AsyncGenerator<ServerEvent, void, undefined>,
  { left, end, toError }: { left: () => void; end: string | null; toError: (error: unknown) => ApiError },
): ReadableStream<Uint8Array> {
  const finish = (controller: ReadableStreamDefaultController<Uint8Array>) => {
    if (end !== null) controller.enqueue(encoder.encode(`data: ${end}\n\n`));
    controller.close();
  };
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await events.next();
        if (done) finish(controller);
        else controller.enqueue(encode(value));
      } catch (error) {
        const failed = toError(error);
        if (failed.status === 499) {
          controller.close();
          return;
        }
        controller.enqueue(encode({ ...(end === null ? { event: "error" } : {}), data: failed.body }));
        finish(controller);
      }
    },
    async cancel() {
      left();
      await events.return().catch(() => {});
    },
  });
}

function encode({ event, data }: ServerEvent): Uint8Array {
  const name = event === undefined ? "" : `event: ${event}\n`;
  return encoder.encode(`${name}data: ${JSON.stringify(data)}\n\n`);
}

/** Several streams as one, each value as it comes. A consumer that leaves ends them all. */
export async function* merge<T>(
  streams: readonly AsyncGenerator<T, void, undefined>[],
): AsyncGenerator<T, void, undefined> {
  type Step = { at: number; result: IteratorResult<T, void> };
  const step = async (at: number): Promise<Step> => ({ at, result: await itemAt(streams, at).next() });
  const pending = new Map(streams.map((_, at) => [at, step(at)]));
  try {
    while (pending.size > 0) {
      const { at, result } = await Promise.race(pending.values());
      if (result.done) pending.delete(at);
      else {
        pending.set(at, step(at));
        yield result.value;
      }
    }
  } finally {
    for (const waiting of pending.values()) waiting.catch(() => {});
    await Promise.all(streams.map((stream) => stream.return().catch(() => {})));
  }
}
