import { createApp } from "../edge-worker/app.ts";
import { cap } from "../sdk/science/index.ts";
import type { Message, Model } from "../sdk/types.ts";
import { median } from "./measure.ts";
import { randomAxis } from "./random_axis.ts";

/** What watching drift costs a server, in milliseconds a request: medians over the turns of the rounds. */
export interface DriftCost {
  /** Tokens of the last request's prompt, and of each reply. */
  n_prompt: number;
  n_reply: number;
  turns: number;
  /** Requests that watch nothing. */
  plain_ms: number;
  /** Those that watch drift as their prompt is read, and by a pass apart (where a cap acts before the axis's layer). */
  watched_ms: number;
  apart_ms: number;
}

const N_REPLY = 16;

const SAID =
  "Tell me more about the sea, the sky and the ships that sail there; what do they carry, and who steers them?";

/** Ways to serve the same conversation, each by an app of its own over the one model. */
type Way = "plain" | "watched" | "apart";
const WAYS: readonly Way[] = ["plain", "watched", "apart"];

/**
 * Serves a conversation turn by turn, as a client that sends the whole of it each time does, once in each way, turn by turn
 * (A B C, A B C, ...). No two requests of different ways or rounds share more than the template's begin, so that each way has
 * its own earlier turns in the prefix cache.
 */
export async function measureDriftCost(
  model: Model,
  load: { rounds: number; turns: number },
  signal: AbortSignal,
): Promise<DriftCost> {
  const serve = appOf(model);
  const times: Record<Way, number[]> = { plain: [], watched: [], apart: [] };
  let n_prompt = 0;
  for (let round = 0; round <= load.rounds; round++) {
    const talks = Object.fromEntries(WAYS.map((way) => [way, [] as Message[]])) as Record<Way, Message[]>;
    for (let turn = 0; turn < load.turns; turn++) {
      for (const way of WAYS) {
        signal.throwIfAborted();
        const talk = talks[way];
        talk.push({ role: "user", content: `${way} ${round}.${turn}: ${SAID}` });
        const start = performance.now();
        const { text, prompt_tokens } = await serve(way, talk, round * load.turns + turn);
        // The first turn has nothing to look at.
        if (round > 0 && turn > 0) times[way].push(performance.now() - start);
        talk.push({ role: "assistant", content: text === "" ? "Yes." : text });
        n_prompt = Math.max(n_prompt, prompt_tokens);
      }
    }
  }
  return {
    n_prompt,
    n_reply: N_REPLY,
    turns: load.turns,
    plain_ms: median(times.plain),
    watched_ms: median(times.watched),
    apart_ms: median(times.apart),
  };
}

/** Asks the server's app itself, no socket between. */
function appOf(model: Model) {
  const axis = randomAxis(model);
  const { target_layer } = axis;
  const layerCap = (layer: number) => cap(axis, { layers: { start: layer, end: layer + 1 }, tau: -1e6 });
  const files: Record<string, Uint8Array> = {
    axis: axis.toBytes(),
    late: layerCap(target_layer).toBytes(),
    early: layerCap(0).toBytes(),
  };
  const capped = (file: string) => ({ axis: "axis", caps: { cap: { file } }, default_cap: "cap" });
  const app = createApp({
    models: { plain: model, watched: model, apart: model },
    files: (name) => files[name]!,
    policy: {
      models: {
        plain: capped("late"),
        watched: { ...capped("late"), drift: {} },
        apart: { ...capped("early"), drift: {} },
      },
    },
  });
  const logit_bias = Object.fromEntries([...model.spec.eos_token_ids].map((id) => [id, -100]));
  return async (way: Way, messages: readonly Message[], seed: number) => {
    const body = { model: way, messages, max_tokens: N_REPLY, temperature: 1, seed, logit_bias };
    const response = await app.request("/v1/chat/completions", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const answer = (await response.json()) as {
      choices: [{ message: { content: string } }];
      usage: { prompt_tokens: number };
    };
    return { text: answer.choices[0].message.content, prompt_tokens: answer.usage.prompt_tokens };
  };
}
