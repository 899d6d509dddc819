import { itemAt, present } from "../../models/certain.ts";
import { concatFloats, type Site } from "../../models/index.ts";
import { generate } from "../../sdk/inference/generate.ts";
import type { ForwardResult, Model } from "../../sdk/types.ts";
import type { CaseRun } from "./case.ts";
import type { Computed } from "./compare.ts";
import type { Reference } from "./reference.ts";
import type { Pass } from "./report.ts";

/** The pass that a run's reference was made in. */
export function madeIn(run: CaseRun): Pass {
  return whyNot(run, "prefill") === null ? "prefill" : "stepwise";
}

/** A reference made token by token under a hook on the last position says nothing of one pass over all tokens. */
export function whyNot(run: CaseRun, pass: Pass): string | null {
  if (!run.passes.includes(pass))
    return `the rope changes while the text grows: its reference is ${run.passes}`;
  if (pass === "stepwise" || run.hooks.every(({ positions }) => positions === "all")) return null;
  return 'a hook has positions "last": its reference is prefill and then token by token';
}

/** Runs a reference's tokens through the public API of the model, in one of the passes. */
export async function runPass(
  model: Model,
  pass: Pass,
  { tokens, n_prompt, hooks, sites }: Reference,
  signal: AbortSignal | undefined,
  capture: readonly Site[] = sites.map(({ site }) => site),
): Promise<Computed> {
  const cuts = pass === "prefill" ? [tokens.length] : [n_prompt, ...ones(tokens.length - n_prompt)];
  const session = await model.session({ hooks });
  try {
    const parts: ForwardResult[] = [];
    for (const length of cuts) {
      const chunk = tokens.subarray(session.n_tokens, session.n_tokens + length);
      parts.push(
        await session.forward(chunk, {
          capture,
          logits: "all",
          ...(signal === undefined ? {} : { signal }),
        }),
      );
    }
    return joinParts(parts);
  } finally {
    await session.dispose();
  }
}

/** The greedy continuation of the prompt as the model writes it by itself. */
export async function runGenerate(
  model: Model,
  { tokens, n_prompt, hooks }: Reference,
  signal: AbortSignal | undefined,
): Promise<Int32Array> {
  if (tokens.length === n_prompt) return new Int32Array(0);
  const reply = generate(model, tokens.subarray(0, n_prompt), {
    hooks,
    temperature: 0,
    repetition_penalty: 1,
    max_tokens: tokens.length - n_prompt,
    ...(signal === undefined ? {} : { signal }),
  });
  return (await reply.result).tokens;
}

function ones(count: number): number[] {
  return new Array<number>(count).fill(1);
}

function joinParts(parts: readonly ForwardResult[]): Computed {
  const sites = Object.keys(itemAt(parts, 0).captures) as Site[];
  const captures: Record<Site, Float32Array> = {};
  for (const site of sites)
    captures[site] = concatFloats(parts.map((part) => present(part.captures[site], site)));
  return { captures, logits: concatFloats(parts.map(({ logits }) => logits)) };
}
