import type { Random } from "../fuzz/mutate.ts";
import { MODEL } from "./server.ts";

/** One streamed chat of many: what it asks, and how its client behaves. */
export interface Plan {
  n: number;
  /** In its prompt and in no other's. */
  canary: string;
  body: {
    messages: { role: string; content: string }[];
    max_tokens: number;
    seed: number;
    [more: string]: unknown;
  };
  /** Read to its end; left after some chunks; read with pauses. */
  fate: "whole" | "left" | "slow";
  /** Chunks of text after which it is left; 0: by time, be it before the first. */
  after: number;
  /** Milliseconds: before it is sent, and between two reads where it is slow. */
  delay: number;
  pause: number;
}

/** @param hook a hook that changes what the model says; some streams carry it, so that their neighbours must not */
export function planOf(n: number, random: Random, hook: object): Plan {
  const letter = () => "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[random.below(26)];
  // The number keeps it apart from every other's, whatever is drawn.
  const canary = `${Array.from({ length: 5 }, letter).join("")}-${n}`;
  const fate = random.pick(["whole", "whole", "left", "slow"] as const);
  const content = random.pick([
    `Say ${canary}.`,
    `What is in the box ${canary}?`,
    `Tell me a story of ${canary}, and of the sea.`,
    `Who are you, ${canary}?`,
  ]);
  return {
    n,
    canary,
    fate,
    body: {
      model: MODEL,
      messages: [{ role: "user", content }],
      stream: true,
      temperature: 1,
      seed: random.below(2 ** 31),
      max_tokens: 8 + random.below(57),
      // Chunks large enough that a slow reader's socket fills.
      ...(fate === "slow" ? { logprobs: true, top_logprobs: 20 } : {}),
      ...(random.chance(0.2) ? { capstan: { hooks: [hook] } } : {}),
    },
    after: random.below(12),
    delay: random.below(500),
    pause: 20 + random.below(100),
  };
}

/** What became of a stream. `lost`: it ended, and neither with its end nor with an error. */
export interface Outcome {
  plan: Plan;
  end: "finished" | "left" | "refused" | "failed" | "lost";
  /** As much of the reply as was read. */
  text: string;
  /** Milliseconds from the request to its first token, and from each token to the next; null where there was none. */
  first: number | null;
  between: number[];
  /** Of a failed one. */
  error?: string;
}

/** Sends a request and reads its stream as the plan says. Never rejects. */
export async function runStream(origin: string, plan: Plan): Promise<Outcome> {
  const left = new AbortController();
  const outcome: Outcome = { plan, end: "lost", text: "", first: null, between: [] };
  if (plan.fate === "left" && plan.after === 0) setTimeout(() => left.abort(), plan.pause);
  try {
    const sent = performance.now();
    const response = await fetch(`${origin}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(plan.body),
      signal: left.signal,
    });
    if (response.status === 429 && Number(response.headers.get("retry-after")) > 0) {
      await response.body?.cancel();
      return { ...outcome, end: "refused" };
    }
    if (response.status !== 200 || response.body === null)
      return {
        ...outcome,
        end: "failed",
        error: `${response.status} ${(await response.text()).slice(0, 300)}`,
      };
    await read(response.body, outcome, sent, left);
  } catch (error) {
    if (left.signal.aborted) outcome.end = "left";
    else Object.assign(outcome, { end: "failed", error: String(error) });
  }
  return outcome;
}

async function read(
  body: ReadableStream<Uint8Array>,
  outcome: Outcome,
  sent: number,
  left: AbortController,
): Promise<void> {
  const { plan } = outcome;
  let [n_chunks, last] = [0, sent];
  for await (const data of eventsOf(body, plan.fate === "slow" ? plan.pause : 0)) {
    if (data === "[DONE]") {
      outcome.end = "finished";
      return;
    }
    const { error, choices } = JSON.parse(data) as Chunk;
    if (error !== undefined) {
      Object.assign(outcome, { end: "failed", error: error.message });
      return;
    }
    const text = choices?.[0]?.delta.content ?? "";
    if (text === "") continue;
    const now = performance.now();
    if (outcome.first === null) outcome.first = now - sent;
    else outcome.between.push(now - last);
    last = now;
    outcome.text += text;
    if (plan.fate === "left" && plan.after > 0 && ++n_chunks >= plan.after) {
      left.abort();
      outcome.end = "left";
      return;
    }
  }
}

interface Chunk {
  error?: { message: string };
  choices?: { delta: { content?: string | null } }[];
}

/** The data of each event, with a pause between two reads. */
async function* eventsOf(body: ReadableStream<Uint8Array>, pause: number): AsyncGenerator<string> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop()!;
    for (const event of events) if (event.startsWith("data: ")) yield event.slice(6);
    if (pause > 0) await wait(pause);
  }
}

export const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
