import { describe, expect, it } from "vitest";
import { lacks, real_model } from "../../testing/parts.ts";
import { type GreedyRecord, records, tensors } from "../../testing/real_model.ts";
import { denoRuntime } from "../../testing/runtimes/runtimes.ts";

describe.skipIf(lacks("real-model") || lacks("vulkan") || lacks("deno"))(
  "SmolLM2-135M-Instruct on WebGPU",
  () => {
    it("continues a short prompt as transformers does, in Deno on lavapipe", async () => {
      const { prompt, n_prompt, tokens } = records<GreedyRecord>("greedy").find(
        ({ name }) => name === "text",
      )!;
      await using deno = denoRuntime();
      const max_tokens = 12;
      const ran = await deno.run("reply", { device: "webgpu", source: real_model, prompt, max_tokens });
      const seconds = (ms: number) => (ms / 1000).toFixed(1);
      console.log(
        `real model: ${ran.device.description}: loaded in ${seconds(ran.load.cpu_ms)} s of processor time, ` +
          `${n_prompt} + ${max_tokens} tokens in ${seconds(ran.generate.cpu_ms)} s, ` +
          `at most ${Math.round(ran.generate.peak_bytes / 1e6)} MB resident`,
      );
      expect(ran.device.kind).toBe("webgpu");
      expect(ran.reply.tokens).toEqual(tokens.slice(n_prompt, n_prompt + max_tokens));
      // The best logits of the first row, by their distance from the best one.
      const of = tensors("greedy");
      const [best, ids] = [of("text.best").values, of("text.best_ids").values];
      for (const [k, { id, logprob }] of ran.reply.logprobs[0]!.top!.entries()) {
        expect(id).toBe(ids[k]);
        expect(ran.reply.logprobs[0]!.top![0]!.logprob - logprob).toBeCloseTo(best[0]! - best[k]!, 3);
      }
    }, 900_000);
  },
);
