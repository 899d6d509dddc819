import { itemAt } from "../../../models/certain.ts";
import { CapstanError } from "../../../models/index.ts";
import type { Model, TemplateArgs } from "../../types.ts";
import { residPost } from "../layers.ts";
import type { ResponseRecord } from "../run/records.ts";

/**
 * The activation of a text that is there already: it is put into the chat as the assistant's last turn, and
 * the residual stream is averaged over its own tokens, as generating it would have done. [layers.length * d_model].
 */
export async function textActivation(
  model: Model,
  { messages, text }: Pick<ResponseRecord, "messages" | "text">,
  {
    template_args,
    layers,
    signal,
  }: { template_args: TemplateArgs; layers: readonly number[]; signal?: AbortSignal },
): Promise<{ activation: Float32Array; tokens: number }> {
  const { d_model } = model.spec;
  const activation = new Float32Array(layers.length * d_model);
  if (text === "") return { activation, tokens: 0 };
  const { tokens, spans } = model.encodeChat(
    [...messages, { role: "assistant", content: text }],
    template_args,
  );
  const span = spans.findLast(({ turn }) => turn === messages.length);
  if (span === undefined || span.end <= span.start) {
    const need = "a chat template that shows the assistant's text";
    throw new CapstanError("tokenizer", {
      action: "read a response's activation",
      need,
      found: "no span of it",
    });
  }
  const { means } = await model.forward(tokens, {
    logits: "none",
    mean: { sites: layers.map(residPost), spans: [span] },
    ...(signal === undefined ? {} : { signal }),
  });
  for (const [i, layer] of layers.entries()) activation.set(itemAt(means, 0)[residPost(layer)]!, i * d_model);
  return { activation, tokens: span.end - span.start };
}
