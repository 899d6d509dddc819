import { generate, load } from "../../sdk/index.ts";
import { cpuTime, peakResident } from "../../sdk/platform/index.ts";
import type { GenerateResult, LoadOptions, Model, Prompt } from "../../sdk/types.ts";

/** A greedy reply in plain JSON. */
export interface GreedyReply {
  text: string;
  /** The text as it streamed. */
  pieces: string[];
  tokens: number[];
  /** Of each token: its log-probability, and the likeliest four with theirs. */
  logprobs: { logprob: number | undefined; top: { id: number; logprob: number }[] | undefined }[];
  usage: GenerateResult["usage"];
}

export async function greedyReply(model: Model, prompt: Prompt, max_tokens: number): Promise<GreedyReply> {
  const running = generate(model, prompt, { temperature: 0, max_tokens, logprobs: 4 });
  const pieces: string[] = [];
  const logprobs: GreedyReply["logprobs"] = [];
  for await (const { text, logprob, top_logprobs } of running) {
    pieces.push(text);
    logprobs.push({ logprob, top: top_logprobs });
  }
  const { text, tokens, usage } = await running.result;
  return { text, pieces, tokens: [...tokens], logprobs, usage };
}

/** A greedy reply in a process of its own, and what the process took for it. */
export async function reply(args: {
  device: NonNullable<LoadOptions["device"]>;
  source: string;
  prompt: Prompt;
  max_tokens: number;
}): Promise<{
  device: Model["device"];
  reply: GreedyReply;
  /** Bytes. */
  weights: number;
  load: Cost;
  generate: Cost;
}> {
  const loading = meter();
  const model = await load(args.source, { device: args.device });
  try {
    const load = loading();
    const generating = meter();
    const reply = await greedyReply(model, args.prompt, args.max_tokens);
    return { device: model.device, reply, weights: model.memory.weight_bytes, load, generate: generating() };
  } finally {
    await model.dispose();
  }
}

/** What a piece of work took: milliseconds by the clock and of processor time, and the most bytes the process held by its end. */
interface Cost {
  elapsed_ms: number;
  cpu_ms: number;
  peak_bytes: number;
}

function meter(): () => Cost {
  const [started, cpu] = [performance.now(), cpuTime()];
  return () => ({
    elapsed_ms: performance.now() - started,
    cpu_ms: cpuTime() - cpu,
    peak_bytes: peakResident(),
  });
}
